import { expect, test } from "vitest";

import { sender } from "../src/send/sender.ts";

test.each([
  ["a relative URL", { url: "/events" }],
  ["a scheme other than http and https", { url: "file:///etc/passwd" }],
  ["user info that is not UTF-8", { url: "http://%ff@sink.example" }],
  ["no time to answer", { url: "http://sink.example", timeout: 0 }],
  ["a timeout that is no number", { url: "http://sink.example", timeout: Number.NaN }],
  ["no attempt", { url: "http://sink.example", retry: { maxAttempts: 0 } }],
  ["a pause below nothing", { url: "http://sink.example", retry: { baseDelay: -1 } }],
  ["a longest pause below the first", { url: "http://sink.example", retry: { baseDelay: 10, maxDelay: 5 } }],
  ["a limit that is no number of bytes", { url: "http://sink.example", replyBytes: 0.5 }],
  ["a header of the event", { url: "http://sink.example", headers: { "CE-id": "2" } }],
  ["a header that HTTP does not allow", { url: "http://sink.example", headers: { "x-key": "a\r\nb" } }],
  ["an override of what the event is", { url: "http://sink.example", overrides: { extensions: { id: "2" } } }],
  ["an override with a control character", { url: "http://sink.example", overrides: { extensions: { tenant: "a\nb" } } }],
  ["a key from nowhere", { url: "http://sink.example", keyFrom: [] }],
])("a sender with %s is refused", (_, options) => {
  expect(() => sender(options)).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION", retryable: false }));
});

test.each(["not a URL with password", "ftp://user:password@host"])("the error for a bad URL does not show it", (url) => {
  expect(() => sender({ url })).toThrow(expect.objectContaining({ message: expect.not.stringContaining("password") }));
});
