import { Buffer } from "node:buffer";
import { createMessage, type Message, type StorableContent } from "event-driver";
import { expect, test } from "vitest";

import { type CompressorOption, Compressors, resolveCompressor } from "../../src/storage/compressor.ts";
import { decodeMessage, describeMessage, encodeContent } from "../../src/storage/go-message.ts";
import { goObjects } from "./go-bucket.ts";

const name = { key: "order-1", source: "event1", file: "DIGEST=" };
const none = compressorsOf("none");

test.each(["none", "gzip"] as const)("what the Go original has stored is read: %s", async (compressor) => {
  for (const { key, source, content, stored } of goObjects(compressor)) {
    const { message } = await decodeMessage({ key, source, file: "DIGEST=" }, stored, {}, compressorsOf(compressor));

    expect(message).toMatchObject({ id: `${key}/${source}/DIGEST=`, key, source });
    expect(Buffer.from(message.content)).toEqual(content);
  }
});

test("content that is no UTF-8 is read as bytes, and other content as text", async () => {
  expect((await decodeMessage(name, Uint8Array.of(0xff), {}, none)).message.content).toEqual(Uint8Array.of(0xff));
  expect((await decodeMessage(name, Buffer.from("\uFEFFtext"), {}, none)).message.content).toBe("\uFEFFtext");
});

test("no content is stored as nothing, whatever the compressor", async () => {
  for (const content of ["", new Uint8Array()]) {
    expect(await encodeContent(messageOf(content), compressorsOf("gzip"))).toHaveLength(0);
  }
});

test("what this library has stored comes back as the event that it was, but for its attributes", async () => {
  const message = createMessage({
    id: "1",
    key: "order-1",
    source: "event1",
    origin: "https://shop/\uD800",
    type: "order.created",
    time: "2026-01-01T00:00:00Z",
    content: Uint8Array.of(0x61),
    attributes: { traceparent: "00-1-2-3" },
  });

  const entry = await decodeMessage(name, Uint8Array.of(0x61), describeMessage(message, { expiresAt: Infinity }), none);

  expect(entry).toEqual({ message: { ...message, attributes: {} }, expiresAt: Infinity });
});

test.each(["no JSON", '{"version":2,"id":"1"}'])("metadata that this version did not write is passed over: %s", async (text) => {
  const { message } = await decodeMessage(name, new Uint8Array(), { "event-driver": text }, none);

  expect(message.id).toBe("order-1/event1/DIGEST=");
});

test("a content that UTF-8 cannot say is refused for good, and so is one that is neither text nor bytes", async () => {
  for (const content of ["half \uD800", JSON.parse("{}")]) {
    await expect(encodeContent(messageOf(content), none)).rejects.toMatchObject({ code: "ERR_INVALID_MESSAGE", retryable: false });
  }
});

test("an id that is longer than an object's metadata is refused for good", () => {
  expect(() => describeMessage({ ...messageOf(""), id: "x".repeat(8_000) }, {})).toThrow(
    expect.objectContaining({ code: "ERR_TOO_LARGE", retryable: false }),
  );
});

test("content of another compressor is an error that says which one to give", async () => {
  await expect(decodeMessage(name, Buffer.from("plain"), {}, compressorsOf("gzip"))).rejects.toMatchObject({
    code: "ERR_STORE_CORRUPT",
    message: expect.stringContaining("give the one that the Go service has"),
  });
});

test("content that is too large when it is decompressed is not read", async () => {
  const stored = await encodeContent(messageOf("x".repeat(1_000)), compressorsOf("gzip"));

  await expect(decodeMessage(name, stored, {}, compressorsOf("gzip", 999))).rejects.toMatchObject({ code: "ERR_TOO_LARGE" });
});

function compressorsOf(option: CompressorOption, limit = 1_000_000): Compressors {
  return new Compressors(resolveCompressor(option), limit);
}

function messageOf(content: StorableContent): Message {
  return createMessage({ id: "1", key: "order-1", source: "event1", content });
}
