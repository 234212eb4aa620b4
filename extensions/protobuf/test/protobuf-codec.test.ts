import { create, type DescMessage, equals, toBinary } from "@bufbuild/protobuf";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { protobufCodec } from "@event-driver/protobuf";
import { createContext, createMessage, type Message, pipeline, type StorableContent, withContent } from "event-driver";
import { type Codec, decodeAny, decodeWith, encodeMessage } from "event-driver/codecs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { olderOrderSchema, orderSchema } from "./order-schema.ts";

const dataSchema = "https://shop.example/shop.Order/1";

const fields = fc.record({
  id: fc.string({ unit: "binary" }),
  total: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  seal: fc.uint8Array(),
});

const orders = fields.chain((outer) =>
  fc
    .array(fields, { maxLength: 3 })
    .map((parts) => create(orderSchema, { ...outer, parts: parts.map((part) => create(orderSchema, part)) })),
);

describe.each(["binary", "json"] as const)("in the format %s", (format) => {
  test("what is written is read, whatever it is", async () => {
    const codec = protobufCodec(orderSchema, { format });

    await fc.assert(
      fc.asyncProperty(orders, async (order) => {
        const decoded = await codec.decode(codec.encode(order));

        expect(equals(orderSchema, decoded, order)).toBe(true);
      }),
    );
  });

  test("a message gets type and schema, and comes out of a pipeline as it was", async () => {
    const codec = protobufCodec(TimestampSchema, { format, dataSchema });
    const time = create(TimestampSchema, { seconds: 12n, nanos: 3 });

    const message = encodeMessage(withContent(event(""), time), codec);

    expect({ ...message.attributes }).toEqual({
      datacontenttype: format === "binary" ? "application/protobuf" : "application/protobuf+json; charset=utf-8",
      dataschema: dataSchema,
    });
    expect(await decode(codec, message)).toEqual(time);
  });

  test("what is no message of this type cannot be written", () => {
    const codec: Codec<unknown> = protobufCodec<DescMessage>(TimestampSchema, { format });

    for (const value of [create(DurationSchema), { seconds: 12n }, undefined]) {
      expect(() => encodeMessage(withContent(event(""), value), codec)).toThrow(
        expect.objectContaining({ code: "ERR_ENCODE_FAILED", retryable: false, cause: expect.any(TypeError) }),
      );
    }
  });

  test("whatever content comes, it is read or fails for good", async () => {
    const codec = protobufCodec(orderSchema, { format });

    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array(), fc.string(), fc.json()), async (content) => {
        const outcome = await decode(codec, event(content)).catch((error: unknown) => error);

        expect(outcome).toSatisfy((result) => Object(result).$typeName === "shop.Order" || Object(result).code === "ERR_DECODE_FAILED");
      }),
    );
  });
});

describe("in the binary format", () => {
  test.each([
    "application/protobuf",
    "application/x-protobuf",
    "application/x-protobuffer;encoding=binary",
    "application/vnd.google.protobuf",
  ])("content of the type %s is read", async (datacontenttype) => {
    const content = toBinary(orderSchema, create(orderSchema, { id: "7" }));

    expect(await decode(protobufCodec(orderSchema), event(content, { datacontenttype }))).toMatchObject({ id: "7" });
  });

  test.each(["application/json", "application/octet-stream"])("content of the type %s is of another schema", async (datacontenttype) => {
    await expect(decode(protobufCodec(orderSchema), event(Uint8Array.of(), { datacontenttype }))).rejects.toMatchObject({
      code: "ERR_SCHEMA_MISMATCH",
      retryable: false,
    });
  });

  test.each([
    ["text", "secret", "it is text, and not in the binary format"],
    ["cut short", toBinary(orderSchema, create(orderSchema, { id: "secret" })).subarray(0, 5), "it is no shop.Order"],
    ["nested without an end", nested(200), "it is no shop.Order"],
  ])("content that is %s fails for good, without being shown", async (_, content, problem) => {
    const outcome = decode(protobufCodec(orderSchema), event(content));

    await expect(outcome).rejects.toMatchObject({ code: "ERR_DECODE_FAILED", retryable: false });
    await expect(outcome).rejects.toThrow(problem);
    await expect(outcome).rejects.not.toThrow("secret");
  });

  test("fields of a newer schema are kept, and written again", async () => {
    const newer = create(orderSchema, { id: "7", total: 12n });
    const older = protobufCodec(olderOrderSchema);

    const passedOn = older.encode(await older.decode(toBinary(orderSchema, newer)));

    expect(passedOn).toEqual(toBinary(orderSchema, newer));
  });
});

describe("in ProtoJSON", () => {
  const codec = protobufCodec(orderSchema, { format: "json" });

  test.each(["application/protobuf+json; charset=utf-8", "application/x-protobuf+json", "application/json"])(
    "content of the type %s is read",
    async (datacontenttype) => {
      expect(await decode(codec, event('{"id":"7","total":"9007199254740993"}', { datacontenttype }))).toMatchObject({
        total: 9007199254740993n,
      });
    },
  );

  test("bytes are read as UTF-8, and a field of a newer schema is passed over", async () => {
    expect(await decode(codec, event(new TextEncoder().encode('{"id":"é","newer":1}')))).toMatchObject({ id: "é" });
    await expect(decode(codec, event(Uint8Array.of(0xff)))).rejects.toMatchObject({ code: "ERR_DECODE_FAILED" });
  });
});

test("messages of several types are told apart by their schema", async () => {
  const times = protobufCodec(TimestampSchema, { dataSchema: "urn:time" });
  const durations = protobufCodec(DurationSchema, { dataSchema: "urn:duration" });
  const found: string[] = [];
  const both = pipeline()
    .use(decodeAny([times, durations]))
    .use(async (_ctx, { content }) => void found.push(content.$typeName));

  await both.process(createContext(), encodeMessage(withContent(event(""), create(TimestampSchema)), times));
  await both.process(createContext(), encodeMessage(withContent(event(""), create(DurationSchema)), durations));

  expect(found).toEqual(["google.protobuf.Timestamp", "google.protobuf.Duration"]);
});

test.each<[string, () => unknown]>([
  ["an empty data schema", () => protobufCodec(orderSchema, { dataSchema: "" })],
  // @ts-expect-error: what a caller without types might give
  ["another format", () => protobufCodec(orderSchema, { format: "text" })],
  // @ts-expect-error: what a caller without types might give
  ["a schema that is none", () => protobufCodec({ typeName: "shop.Order" })],
  // @ts-expect-error: what a caller without types might give
  ["no schema", () => protobufCodec()],
])("%s is refused", (_, create) => {
  expect(create).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION", retryable: false }));
});

function event(content: StorableContent, attributes: Readonly<Record<string, string>> = {}): Message {
  return createMessage({ id: "1", key: "order-1", source: "shop", content, attributes });
}

async function decode<Value>(codec: Codec<Value>, message: Message): Promise<Value | undefined> {
  let decoded: Value | undefined;
  await pipeline()
    .use(decodeWith(codec))
    .use(async (_ctx, { content }) => {
      decoded = content;
    })
    .process(createContext(), message);
  return decoded;
}

/** An order in an order, so many times. */
function nested(times: number): Uint8Array {
  let order = create(orderSchema, { id: "secret" });
  for (let time = 0; time < times; time += 1) order = create(orderSchema, { parts: [order] });
  return toBinary(orderSchema, order);
}
