import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";

import type { AnyMessage } from "../../../src/pipeline/handler.ts";

import { createContext } from "../../../src/context.ts";
import { decode } from "../../../src/handlers/decode/decode.ts";
import { encode } from "../../../src/handlers/decode/encode.ts";
import { createMessage, type Message } from "../../../src/message.ts";
import { pipeline } from "../../../src/pipeline/pipeline.ts";

test("content becomes JSON text; the rest of the message stays", async () => {
  const message = order({ total: 12 });

  expect(await run(message)).toEqual({ ...message, content: '{"total":12}' });
});

test("what decode has read, encode writes back, whatever JSON it was", async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (value) => {
      const seen: Message[] = [];
      const both = pipeline()
        .use(decode(z.unknown()))
        .use(encode())
        .use(async (_ctx, message) => void seen.push(message));

      const message = createMessage({ key: "k", source: "s", content: JSON.stringify(value) });

      await both.process(createContext(), message);

      expect(seen).toEqual([{ ...message, content: JSON.stringify(value) }]);
    }),
  );
});

test("a schema's output is what is written", async () => {
  const Written = z.object({ at: z.date().transform((at) => at.getTime()) });
  const seen: Message[] = [];

  await encode(Written).process(createContext(), order({ at: new Date(5) }), async (_ctx, message) => void seen.push(message));

  expect(seen[0]?.content).toBe('{"at":5}');
});

test("an asynchronous schema is waited for", async () => {
  const Written = z.object({ total: z.number().refine(async (total) => total > 0) });
  const seen: Message[] = [];

  await encode(Written).process(createContext(), order({ total: 1 }), async (_ctx, message) => void seen.push(message));

  expect(seen[0]?.content).toBe('{"total":1}');
});

test("what does not fit the schema is never written and fails for good", async () => {
  const orders = pipeline<Message<{ total: number }>>().use(encode(z.object({ total: z.number().max(10) })));

  await expect(orders.process(createContext(), order({ total: 12 }))).rejects.toMatchObject({
    code: "ERR_ENCODE_FAILED",
    retryable: false,
    message: expect.stringMatching(/"o-1".*total: /),
  });
});

test.each([
  ["undefined", undefined],
  ["a function", () => {}],
  ["bytes", new Uint8Array([1])],
  ["a bigint", 12n],
  ["what holds itself", cyclic()],
])("%s cannot be written and fails for good", async (_what, content) => {
  await expect(run(order(content))).rejects.toMatchObject({
    code: "ERR_ENCODE_FAILED",
    retryable: false,
    message: expect.stringContaining("o-1"),
  });
});

test.each([
  [undefined, undefined],
  ["application/json", "application/json"],
  ["application/JSON; charset=utf-8", "application/JSON; charset=utf-8"],
  ["application/vnd.order+json", "application/vnd.order+json"],
  ["application/xml", "application/json"],
  ["application/jsonp", "application/json"],
  ["text/plain; note=/json", "application/json"],
])("a content type of %s becomes %s", async (given, becomes) => {
  const message = createMessage({ ...order({}), attributes: given === undefined ? {} : { datacontenttype: given } });

  expect((await run(message)).attributes["datacontenttype"]).toBe(becomes);
});

test("something other than a Standard Schema is refused", () => {
  // @ts-expect-error what a caller without types may do
  expect(() => encode({})).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});

function order<Content>(content: Content): Message<Content> {
  return createMessage({ id: "o-1", key: "order-1", source: "orders", content });
}

function cyclic(): object {
  const self: { self?: object } = {};
  self.self = self;
  return self;
}

async function run(message: AnyMessage): Promise<Message<string>> {
  const { promise, resolve } = Promise.withResolvers<Message<string>>();
  // An async function, for encode may throw before it returns a promise; a pipeline takes care of that.
  const process = async (): Promise<void> => encode().process(createContext(), message, async (_ctx, encoded) => resolve(encoded));
  await process();
  return promise;
}
