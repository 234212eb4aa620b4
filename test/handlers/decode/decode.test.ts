import type { StandardSchemaV1 } from "@standard-schema/spec";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";

import type { Message, StorableContent } from "../../../src/message.ts";

import { createContext } from "../../../src/context.ts";
import { decode, type DecodeOptions } from "../../../src/handlers/decode/decode.ts";
import { createMessage } from "../../../src/message.ts";
import { pipeline } from "../../../src/pipeline/pipeline.ts";

const Order = z.object({ total: z.number(), note: z.string().default("") });

test("content is read as JSON and becomes what the schema makes of it; the rest stays, and the message as it came goes along", async () => {
  const message = createMessage({
    id: "o-1",
    key: "order-1",
    source: "orders",
    time: "2024-01-01T00:00:00Z",
    content: '{"total":12}',
    attributes: { client: "a" },
  });

  const decoded = await run(Order, message);

  expect(decoded).toEqual({ ...message, content: { total: 12, note: "" }, encoded: message });
});

test("bytes are read as UTF-8", async () => {
  expect((await run(z.string(), order(new TextEncoder().encode('"čaj"')))).content).toBe("čaj");
});

test("an asynchronous schema is waited for", async () => {
  const Known = z.object({ total: z.number().refine(async (total) => total > 0) });

  expect((await run(Known, order('{"total":1}'))).content).toEqual({ total: 1 });
  await expect(run(Known, order('{"total":0}'))).rejects.toMatchObject({ code: "ERR_DECODE_FAILED" });
});

test("any JSON value comes out of a schema that lets everything through", async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue({ depthSize: "small" }), async (value) => {
      const json = JSON.stringify(value);

      expect((await run(anything, order(json))).content).toEqual(JSON.parse(json));
    }),
  );
});

test("whatever content comes, it is decoded or fails for good, and nothing else happens", async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.uint8Array(), fc.json()), async (content) => {
      const outcome = await run(Order, order(content)).catch((error: unknown) => error);

      expect(outcome).toSatisfy((result) => Order.safeParse(Object(result).content).success || Object(result).code === "ERR_DECODE_FAILED");
    }),
  );
});

describe("content that does not fit", () => {
  test("fails for good, with the message's id and the path and message of each issue", async () => {
    const Lines = z.object({ lines: z.array(z.object({ "unit price": z.number() })) });

    const failure = run(Lines, order('{"lines":[{"unit price":1},{"unit price":"x"}]}'));

    await expect(failure).rejects.toMatchObject({
      code: "ERR_DECODE_FAILED",
      retryable: false,
      message: expect.stringMatching(/"o-1".*lines\.1\."unit price": Invalid input: expected number, received string/),
    });
  });

  test.each([
    ["is not JSON", '{"card":"4111'],
    ["is not JSON", "4111-1111"],
    ["is empty", ""],
    ["is not valid UTF-8", new Uint8Array([0x22, 0xff, 0x22])],
  ])("because it %s fails for good, and the error holds none of it", async (why, content) => {
    const error: unknown = await run(anything, order(content)).catch((reason: unknown) => reason);

    expect(error).toMatchObject({ code: "ERR_DECODE_FAILED", retryable: false, message: expect.stringContaining(why) });
    expect(everyMessageOf(error)).not.toContain("4111");
  });

  test.each([
    ["a string, quoted by JSON", "4111", (value: unknown) => `expected number, got ${JSON.stringify(value)}`],
    ["a string as it is", "4111-1111", (value: unknown) => `got ${String(value)} here`],
    ["a short string in quotation marks", "ab", (value: unknown) => `expected number, got '${String(value)}'`],
    ["a number", 4111, (value: unknown) => `must be at most 100 (was ${String(value)})`],
    ["a fraction", -41.11, (value: unknown) => `must be at most 100 (was ${String(value)})`],
    ["a large number", 4.111e30, (value: unknown) => `was ${String(value)}.`],
  ])("never shows its value, even where the library writes it into its message: %s", async (_how, value, message) => {
    const failure = run(refusing([{ message: message(value), path: ["card"] }]), order(JSON.stringify({ card: value })));

    await expect(failure).rejects.toMatchObject({ message: expect.not.stringContaining(String(value)) });
    await expect(failure).rejects.toMatchObject({ message: expect.stringContaining("card: ") });
  });

  test("with many issues shows the first ten and counts the rest, cutting long ones", async () => {
    const issues = Array.from({ length: 5_000 }, (_, index) => ({ message: "x".repeat(10_000), path: [{ key: index }] }));

    const error: unknown = await run(refusing(issues), order("{}")).catch((reason: unknown) => reason);

    expect(error).toMatchObject({ message: expect.stringContaining("and 4990 more") });
    expect(everyMessageOf(error).length).toBeLessThan(5_000);
  });

  test("as a whole is called so", async () => {
    await expect(run(z.object({}), order("[]"))).rejects.toMatchObject({
      message: expect.stringContaining("(whole content): Invalid input"),
    });
  });
});

describe("nested content", () => {
  test("is taken to the depth allowed, and brackets in strings do not count", async () => {
    const text = `${"[".repeat(128)}"[[\\"[[{{"${"]".repeat(128)}`;

    await expect(run(anything, order(text))).resolves.toBeDefined();
  });

  test.each([
    ["arrays", "[", "]"],
    ["objects", '{"a":', "}"],
  ])("deeper than that fails for good: %s", async (_what, open, close) => {
    const nested = (depth: number): string => `${open.repeat(depth)}1${close.repeat(depth)}`;

    await expect(run(anything, order(nested(129)))).rejects.toMatchObject({
      code: "ERR_DECODE_FAILED",
      message: expect.stringContaining("deeper than 128"),
    });
    await expect(run(anything, order(nested(200_000)))).rejects.toMatchObject({ code: "ERR_DECODE_FAILED" });
    await expect(run(anything, order(nested(4)), { maxDepth: 3 })).rejects.toMatchObject({ code: "ERR_DECODE_FAILED" });
    await expect(run(anything, order(nested(3)), { maxDepth: 3 })).resolves.toBeDefined();
  });
});

test("what a schema itself throws fails the message as it is, so that it can be tried again", async () => {
  const down = new Error("the directory of schemas is down");
  const schema = schemaOf(() => {
    throw down;
  });

  await expect(pipeline().use(decode(schema)).process(createContext(), order("{}"))).rejects.toMatchObject({
    cause: down,
    retryable: true,
  });
});

test("content other than JSON is read by a function of one's own", async () => {
  const parse = (content: StorableContent): unknown => Object.fromEntries(new URLSearchParams(String(content)));

  expect((await run(z.object({ total: z.coerce.number() }), order("total=12"), { parse })).content).toEqual({ total: 12 });
});

test("what that function throws is the cause of a terminal failure", async () => {
  const cause = new Error("not a form");
  const parse = (): unknown => {
    throw cause;
  };

  await expect(run(anything, order("{}"), { parse })).rejects.toMatchObject({ code: "ERR_DECODE_FAILED", retryable: false, cause });
});

test("a member called __proto__ changes no prototype", async () => {
  const { content } = await run(anything, order('{"__proto__":{"admin":true}}'));

  expect(Object.getPrototypeOf(content)).toBe(Object.prototype);
});

test.each([undefined, null, {}, "schema"])("%j is refused as a schema", (schema) => {
  // @ts-expect-error what a caller without types may do
  expect(() => decode(schema)).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringContaining("Standard Schema") }),
  );
});

test.each([0, 1.5, NaN])("a maxDepth of %d is refused", (maxDepth) => {
  expect(() => decode(anything, { maxDepth })).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});

const anything = schemaOf((value) => ({ value }));

function refusing(issues: readonly StandardSchemaV1.Issue[]): StandardSchemaV1 {
  return schemaOf(() => ({ issues }));
}

function schemaOf(validate: StandardSchemaV1["~standard"]["validate"]): StandardSchemaV1 {
  return { "~standard": { version: 1, vendor: "test", validate } };
}

function order(content: StorableContent): Message {
  return createMessage({ id: "o-1", key: "order-1", source: "orders", content });
}

async function run<Output>(schema: StandardSchemaV1<unknown, Output>, message: Message, options?: DecodeOptions): Promise<Message<Output>> {
  const { promise, resolve } = Promise.withResolvers<Message<Output>>();
  // An async function, for decode may throw before it returns a promise; a pipeline takes care of that.
  const process = async (): Promise<void> =>
    decode(schema, options).process(createContext(), message, async (_ctx, decoded) => resolve(decoded));
  await process();
  return promise;
}

function everyMessageOf(error: unknown): string {
  return error instanceof Error ? `${error.message} ${everyMessageOf(error.cause)}` : String(error);
}
