import { describe, expect, test } from "vitest";
import { z } from "zod";

import type { DecodedMessage } from "../../src/handlers/decode/decode.ts";
import type { Handler } from "../../src/pipeline/handler.ts";

import {
  bytesCodec,
  type Codec,
  decodeAny,
  decodeWith,
  emptyCodec,
  encodeMessage,
  jsonCodec,
  stringCodec,
} from "../../src/codecs/index.ts";
import { createContext } from "../../src/context.ts";
import { EventDriverError } from "../../src/errors.ts";
import { createMessage, type Message, type StorableContent, withContent } from "../../src/message.ts";
import { pipeline } from "../../src/pipeline/pipeline.ts";

const orderSchema = "https://shop.example/order/1";
const refundSchema = "https://shop.example/refund/1";
const orders = jsonCodec(z.object({ total: z.number(), note: z.string().default("") }), { dataSchema: orderSchema });
const refunds = jsonCodec(z.object({ refunded: z.number() }), { dataSchema: refundSchema });

describe("decodeWith", () => {
  test("gives back what encodeMessage has written, with the message it was read from", async () => {
    const message = encodeMessage(withContent(order("", {}), { total: 12, note: "x" }), orders);

    const decoded = await run(decodeWith(orders), message);

    expect(decoded).toEqual({ ...message, content: { total: 12, note: "x" }, encoded: message });
  });

  test("passes on what a schema makes of the content, when it has", async () => {
    const later = jsonCodec(z.object({ total: z.number().refine(async (total) => total > 0) }));

    expect((await run(decodeWith(orders), order('{"total":1}'))).content).toEqual({ total: 1, note: "" });
    expect((await run(decodeWith(later), order('{"total":1}'))).content).toEqual({ total: 1 });
    await expect(run(decodeWith(later), order('{"total":0}'))).rejects.toMatchObject({ code: "ERR_DECODE_FAILED" });
  });

  test.each([
    ["another schema", orders, { dataschema: refundSchema }, `message "1" has the dataschema "${refundSchema}", read is "${orderSchema}"`],
    ["another type", orders, { datacontenttype: "text/csv" }, 'message "1" has the datacontenttype "text/csv", read is "application/json"'],
    ["JSON for text", stringCodec(), { datacontenttype: "application/json" }, 'read is "text/plain"'],
    ["text for bytes", bytesCodec(), { datacontenttype: "text/plain" }, 'read is "application/octet-stream"'],
  ])("refuses %s for good, without showing the content", async (_, codec, attributes, problem) => {
    const outcome = run(decodeWith<unknown>(codec), order('{"total":"secret"}', attributes));

    await expect(outcome).rejects.toMatchObject({ code: "ERR_SCHEMA_MISMATCH", retryable: false });
    await expect(outcome).rejects.toThrow(problem);
    await expect(outcome).rejects.not.toThrow("secret");
  });

  test.each([
    ["nothing said", {}],
    ["an empty type and schema", { datacontenttype: "", dataschema: "" }],
    ["the type with a character set", { datacontenttype: "Application/JSON; charset=utf-8" }],
    ["another type of JSON", { datacontenttype: "application/vnd.order+json" }],
    ["the schema", { dataschema: orderSchema }],
  ])("reads content with %s", async (_, attributes) => {
    expect((await run(decodeWith(orders), order('{"total":1}', attributes))).content.total).toBe(1);
  });

  test("reads the other types that a codec names", async () => {
    const codec: Codec<string> = { contentType: "text/yaml", alsoReads: ["application/x-yaml"], encode: String, decode: String };

    expect((await run(decodeWith(codec), order("a: 1", { datacontenttype: "application/x-yaml;v=1" }))).content).toBe("a: 1");
  });

  test.each<[string, Codec<unknown>, StorableContent, string]>([
    ["no JSON", orders, "{", "it is not JSON"],
    ["of another shape", orders, '{"total":"secret"}', "total: "],
    ["too deep", jsonCodec(), "[".repeat(200) + "]".repeat(200), "it is nested deeper than 128"],
    ["no UTF-8", stringCodec(), Uint8Array.of(0xff), "it is not valid UTF-8"],
    ["there where nothing should be", emptyCodec(), "secret", "it should have been empty"],
  ])("content that is %s fails for good, without being shown", async (_, codec, content, problem) => {
    const outcome = run(decodeWith(codec), order(content));

    await expect(outcome).rejects.toMatchObject({ code: "ERR_DECODE_FAILED", retryable: false });
    await expect(outcome).rejects.toThrow(problem);
    await expect(outcome).rejects.not.toThrow("secret");
  });

  test("what a codec of your own throws fails the message for good, and is the cause", async () => {
    const thrown = new Error("secret");
    const codec: Codec<unknown> = {
      encode: String,
      decode: () => {
        throw thrown;
      },
    };

    await expect(run(decodeWith(codec), order("x"))).rejects.toMatchObject({
      code: "ERR_DECODE_FAILED",
      retryable: false,
      cause: { message: 'the content of message "1" does not fit: it cannot be read; correct its sender, or the codec', cause: thrown },
    });
  });

  test.each<[string, () => Promise<never>]>([
    ["at once", () => raise(new Error("no answer"))],
    ["later", async () => raise(new Error("no answer"))],
  ])("what a schema throws itself, %s, is retryable", async (_, validate) => {
    const codec = jsonCodec({ "~standard": { version: 1, vendor: "test", validate } });

    await expect(run(decodeWith(codec), order("1"))).rejects.toMatchObject({ code: "ERR_HANDLER_FAILED", retryable: true });
  });

  test.each<[string, (busy: EventDriverError) => Codec<unknown>]>([
    ["a codec", (busy) => ({ encode: String, decode: () => Promise.reject(busy) })],
    ["a schema", (busy) => jsonCodec({ "~standard": { version: 1, vendor: "test", validate: () => raise(busy) } })],
  ])("an error by which %s says more than that the content does not fit is passed on as it is", async (_, codecOf) => {
    const busy = new EventDriverError("ERR_OVERLOADED", { message: "the registry is busy", retryable: true, retryAfter: 50 });
    const codec = codecOf(busy);

    await expect(run(decodeWith(codec), order("1"))).rejects.toMatchObject({ code: "ERR_OVERLOADED", retryAfter: 50, cause: busy });
  });

  test("what fails behind it is not taken for a failure to decode", async () => {
    const failing = pipeline()
      .use(decodeWith(jsonCodec(z.unknown().refine(async () => true))))
      .use(async () => {
        throw new Error("behind");
      });

    await expect(failing.process(createContext(), order("1"))).rejects.toMatchObject({
      code: "ERR_HANDLER_FAILED",
      index: 1,
    });
  });
});

describe("decodeAny", () => {
  test("reads each message by the codec of its schema", async () => {
    const stage = decodeAny([orders, refunds]);

    expect((await run(stage, order('{"total":1}', { dataschema: orderSchema }))).content).toEqual({ total: 1, note: "" });
    expect((await run(stage, order('{"refunded":1}', { dataschema: refundSchema }))).content).toEqual({ refunded: 1 });
  });

  test.each([{}, { dataschema: "" }, { dataschema: "urn:other" }])(
    "reads a message with %j by the codec without a schema",
    async (attributes) => {
      expect((await run(decodeAny([orders, jsonCodec()]), order("[1]", attributes))).content).toEqual([1]);
    },
  );

  test.each([
    [{ dataschema: "urn:other" }, 'message "1" has the dataschema "urn:other"'],
    [{}, 'message "1" has no dataschema'],
  ])("refuses a message with %j for good where there is none", async (attributes, problem) => {
    const outcome = run(decodeAny([orders, refunds]), order("{}", attributes));

    await expect(outcome).rejects.toMatchObject({ code: "ERR_SCHEMA_MISMATCH", retryable: false });
    await expect(outcome).rejects.toThrow(`${problem}, read is "${orderSchema}, ${refundSchema}"`);
  });

  test("refuses two codecs for one schema, two without, and none at all", () => {
    expect(() => decodeAny([])).toThrow(refusal);
    expect(() => decodeAny([orders, jsonCodec(undefined, { dataSchema: orderSchema })])).toThrow(refusal);
    expect(() => decodeAny([stringCodec(), bytesCodec()])).toThrow(refusal);
  });
});

test("what is no codec is refused", () => {
  // @ts-expect-error: what a caller without types might give
  expect(() => decodeWith({ decode: String })).toThrow(refusal);
  // @ts-expect-error: what a caller without types might give
  expect(() => decodeAny([undefined])).toThrow(refusal);
});

const refusal: unknown = expect.objectContaining({ code: "ERR_INVALID_OPTION", retryable: false });

function order(content: StorableContent, attributes: Readonly<Record<string, string>> = {}): Message {
  return createMessage({ id: "1", key: "order-1", source: "shop", content, attributes });
}

function raise(error: Error): never {
  throw error;
}

async function run<Value>(stage: Handler<Message, DecodedMessage<Value>>, message: Message): Promise<DecodedMessage<Value>> {
  let passedOn: DecodedMessage<Value> | undefined;
  await pipeline()
    .use(stage)
    .use(async (_ctx, decoded) => {
      passedOn = decoded;
    })
    .process(createContext(), message);
  if (passedOn === undefined) throw new Error("nothing was passed on");
  return passedOn;
}
