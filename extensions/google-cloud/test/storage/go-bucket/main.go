// Writes bucket.json: the objects of a bucket as the Go original leaves them, in the order in which they were created.
//
// Names and contents come from Go's own crypto/sha256, encoding/base64 and compress/gzip, so nothing that is tested has taken part in them:
//
//	go run main.go > bucket.json
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
)

type message struct {
	Key     string `json:"key"`
	Source  string `json:"source"`
	Content []byte `json:"content"`
}

type object struct {
	message
	Name   string `json:"name"`
	Stored []byte `json:"stored"`
}

var messages = []message{
	{"order-1", "event1", nil},
	{"order-1", "event2", []byte(`{"total": 1.10, "number": 12345678901234567890}`)},
	{"order-2", "event1", nil},
	{"order-2", "event2", []byte("first")},
	{"order-2", "event2", []byte("second")},
	{"order-2", "event2", []byte("third")},
	{"bestellung ü", "événement+3", []byte("naïve €uro 😀")},
	{"order-3", "event3", []byte{0xff, 0xfe, 0x00}},
}

func main() {
	bucket := map[string][]object{}
	for _, message := range messages {
		bucket["none"] = append(bucket["none"], stored(message, message.Content))
		bucket["gzip"] = append(bucket["gzip"], stored(message, compressed(message.Content)))
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(bucket); err != nil {
		panic(err)
	}
}

func stored(message message, content []byte) object {
	digest := sha256.Sum256(content)
	name := message.Key + "/" + message.Source + "/" + base64.URLEncoding.EncodeToString(digest[:])
	if content == nil {
		content, message.Content = []byte{}, []byte{}
	}
	return object{message, name, content}
}

func compressed(content []byte) []byte {
	if len(content) == 0 {
		return content
	}
	var buffer bytes.Buffer
	writer, err := gzip.NewWriterLevel(&buffer, gzip.BestSpeed)
	if err == nil {
		_, err = writer.Write(content)
	}
	if err == nil {
		err = writer.Close()
	}
	if err != nil {
		panic(err)
	}
	return buffer.Bytes()
}
