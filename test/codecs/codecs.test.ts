import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";

import { bytesCodec, type Codec, emptyCodec, encodeMessage, jsonCodec, stringCodec } from "../../src/codecs/index.ts";
import { createMessage, type Message, withContent } from "../../src/message.ts";

const message = createMessage({ id: "1", key: "order-1", source: "shop", type: "order.created", content: "", attributes: { client: "a" } });

describe("what a codec writes, it reads", () => {
  test("bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(bytesCodec().decode(bytesCodec().encode(bytes))).toEqual(bytes);
      }),
    );
  });

  test("text, also from bytes, with a byte order mark", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const codec = stringCodec();

        expect(codec.decode(codec.encode(text))).toBe(text);
        expect(codec.decode(new TextEncoder().encode(`\uFEFF${text}`))).toBe(`\uFEFF${text}`);
      }),
    );
  });

  test("JSON, also from bytes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const codec = jsonCodec();
        const text = String(codec.encode(value));

        expect(codec.decode(text)).toEqual(JSON.parse(text));
        expect(codec.decode(new TextEncoder().encode(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  test("nothing", () => {
    const codec = emptyCodec();

    expect(codec.decode(codec.encode(undefined))).toBeUndefined();
    expect(codec.decode(new Uint8Array(0))).toBeUndefined();
  });
});

test("bytes are read from text as UTF-8", () => {
  expect(bytesCodec().decode("é")).toEqual(Uint8Array.of(0xc3, 0xa9));
});

describe("encodeMessage", () => {
  test("sets what the codec says, and leaves the rest", () => {
    const codec = jsonCodec(z.object({ total: z.number() }), { dataSchema: "https://shop.example/order/1" });

    const encoded = encodeMessage(withContent(message, { total: 12 }), codec);

    expect(encoded).toStrictEqual(
      createMessage({
        ...message,
        content: '{"total":12}',
        attributes: { client: "a", datacontenttype: "application/json", dataschema: "https://shop.example/order/1" },
      }),
    );
  });

  test("leaves a type and a schema of which the codec says nothing", () => {
    const told = createMessage({ ...message, attributes: { dataschema: "urn:a", datacontenttype: "text/csv" } });

    expect(encodeMessage(withContent(told, undefined), emptyCodec())).toStrictEqual(told);
    expect(encodeMessage(withContent(told, 1), jsonCodec()).attributes["dataschema"]).toBe("urn:a");
  });

  test("drops what decoding has added", () => {
    const decoded: Message<number> & { readonly encoded: Message } = { ...withContent(message, 1), encoded: message };

    expect(encodeMessage(decoded, jsonCodec())).not.toHaveProperty("encoded");
  });

  test.each<[string, string | undefined, () => unknown]>([
    ["bytes", "application/octet-stream", () => encodeMessage(withContent(message, Uint8Array.of(1)), bytesCodec())],
    ["an image", "image/png", () => encodeMessage(withContent(message, Uint8Array.of(1)), bytesCodec({ contentType: "image/png" }))],
    ["text", "text/plain", () => encodeMessage(message, stringCodec())],
    ["a table", "text/csv", () => encodeMessage(message, stringCodec({ contentType: "text/csv" }))],
    ["nothing", undefined, () => encodeMessage(withContent(message, undefined), emptyCodec())],
  ])("says the type of %s", (_, datacontenttype, encode) => {
    expect(encode()).toMatchObject({ attributes: datacontenttype === undefined ? { client: "a" } : { datacontenttype } });
  });

  test.each([
    ["what JSON cannot hold", 1n],
    ["nothing at all", undefined],
    ["a function", () => "secret"],
    ["bytes", Uint8Array.of(1)],
  ])("%s cannot be written, and the error does not show it", (_, value) => {
    expect(() => encodeMessage(withContent(message, value), jsonCodec())).toThrow(
      expect.objectContaining({
        code: "ERR_ENCODE_FAILED",
        retryable: false,
        message: 'the content of message "1" cannot be written as application/json; correct what has made it',
        cause: expect.any(TypeError),
      }),
    );
  });

  test("what a codec of your own throws is the cause", () => {
    const cause = new Error("no");
    const codec: Codec<string> = {
      encode: () => {
        throw cause;
      },
      decode: String,
    };

    expect(() => encodeMessage(message.content === "" ? withContent(message, "") : withContent(message, "x"), codec)).toThrow(
      expect.objectContaining({ code: "ERR_ENCODE_FAILED", cause }),
    );
  });
});

test.each<[string, () => unknown]>([
  ["an empty content type of bytes", () => bytesCodec({ contentType: "" })],
  ["an empty content type of text", () => stringCodec({ contentType: "" })],
  ["an empty schema", () => jsonCodec(undefined, { dataSchema: "" })],
  // @ts-expect-error: what a caller without types might give
  ["a schema that is none", () => jsonCodec({ parse: JSON.parse })],
])("%s is refused", (_, create) => {
  expect(create).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION", retryable: false }));
});
