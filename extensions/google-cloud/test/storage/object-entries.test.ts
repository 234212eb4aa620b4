import { Buffer } from "node:buffer";
import { createMessage, type Message } from "event-driver";
import fc from "fast-check";
import { expect, test } from "vitest";

import { type CompressorOption, Compressors, resolveCompressor } from "../../src/storage/compressor.ts";
import { decodeEntry, encodeEntry } from "../../src/storage/object-entries.ts";

const text = fc.string({ unit: "binary", maxLength: 20 });
const message = fc
  .record(
    {
      id: text,
      key: text,
      source: text,
      origin: text,
      type: text,
      time: text,
      content: fc.oneof(text, fc.uint8Array()),
      attributes: fc.dictionary(text, text),
    },
    { requiredKeys: ["id", "key", "source", "content"] },
  )
  .map((init) => createMessage(init));
const times = fc.record({ dueAt: fc.double({ noNaN: true }), expiresAt: fc.double({ noNaN: true }) }, { requiredKeys: [] });

test("an entry comes back as it went in, whatever it is compressed by", async () => {
  await fc.assert(
    fc.asyncProperty(message, times, fc.constantFrom("none", "gzip", "brotli", "zstd"), async (given, options, name) => {
      const used = compressors(name);

      const entry = await decodeEntry("name", Buffer.from(await encodeEntry(given, options, used)), used);

      expect(comparable(entry.message)).toEqual(comparable(given));
      expect([entry.dueAt, entry.expiresAt]).toEqual([withoutSign(options.dueAt), withoutSign(options.expiresAt)]);
    }),
  );
});

test("all but the content can be read with one's own eyes, whatever the compressor", async () => {
  const given = createMessage({ id: "1", key: "order-1", source: "event1", content: "secret", attributes: { traceparent: "t" } });

  const [line = ""] = Buffer.from(await encodeEntry(given, {}, compressors("gzip")))
    .toString("latin1")
    .split("\n");

  expect(JSON.parse(line)).toEqual({
    version: 1,
    id: "1",
    key: "order-1",
    source: "event1",
    attributes: { traceparent: "t" },
    form: "utf8",
    compressor: "gzip",
  });
});

test("content that is neither text nor bytes is refused", async () => {
  const decoded: Message = Object({ ...createMessage({ id: "1", key: "k", source: "s", content: "" }), content: { total: 12 } });

  await expect(encodeEntry(decoded, {}, compressors("none"))).rejects.toMatchObject({ code: "ERR_INVALID_MESSAGE", retryable: false });
});

test.each(["", "no JSON\n", "{}\n", '{"version":2}\n', "null\n"])("an object of something else is damaged: %j", async (content) => {
  await expect(decodeEntry("entries/a/b", Buffer.from(content), compressors("none"))).rejects.toMatchObject({
    code: "ERR_STORE_CORRUPT",
    retryable: true,
    message: expect.stringContaining('"entries/a/b"'),
  });
});

function compressors(name: CompressorOption): Compressors {
  return new Compressors(resolveCompressor(name), 2 ** 20);
}

function comparable({ content, attributes, ...parts }: Message): object {
  const kept = typeof content === "string" ? content : { bytes: Buffer.from(content).toString("hex") };
  return { ...parts, content: kept, attributes: new Map(Object.entries(attributes)) };
}

/** The two zeros are one time. */
function withoutSign(time: number | undefined): number | undefined {
  return time === undefined ? undefined : time + 0;
}
