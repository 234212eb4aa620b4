import fc from "fast-check";
import { expect, test, vi } from "vitest";

import type { Message } from "../../../src/message.ts";
import type { Next } from "../../../src/pipeline/handler.ts";

import { createContext } from "../../../src/context.ts";
import { eraseContentFromSources } from "../../../src/handlers/transformer/erase-content-from-sources.ts";
import { identity } from "../../../src/handlers/transformer/identity.ts";
import { mapAttributes } from "../../../src/handlers/transformer/map-attributes.ts";
import { mapContent } from "../../../src/handlers/transformer/map-content.ts";
import { renameSources } from "../../../src/handlers/transformer/rename-sources.ts";
import { type Rule, transformer } from "../../../src/handlers/transformer/transformer.ts";
import { createMessage, identityOf, withAttributes, withContent, withKey } from "../../../src/message.ts";
import { pipeline } from "../../../src/pipeline/pipeline.ts";

const order = createMessage({ id: "o-1", key: "order-1", source: "event1", content: "secret", attributes: { client: "a" } });

test("rules are applied in the order given", async () => {
  const append = (letter: string): Rule => mapContent((content) => `${String(content)}${letter}`);

  const [transformed] = await transform(order, append("a"), append("b"), append("c"));

  expect(transformed?.content).toBe("secretabc");
});

test("without rules the very message is passed on", async () => {
  expect(await transform(order)).toEqual([order]);
});

test("the message that came in is left as it was", async () => {
  const before = structuredClone(order);

  await transform(
    order,
    mapContent(() => "other"),
    mapAttributes(() => ({})),
    renameSources({ orders: ["event1"] }),
  );

  expect(structuredClone(order)).toEqual(before);
});

test("a synchronous rule costs no promise: the stages behind have been called when process returns", () => {
  const next = vi.fn<Next>(() => Promise.resolve());

  void transformer(identity()).process(createContext(), order, next);

  expect(next).toHaveBeenCalledOnce();
});

test("an asynchronous rule is waited for before the next rule and the next stage", async () => {
  const later: Rule = async (message) => withContent(message, "later");
  const marked: Rule = (message) => withContent(message, `${String(message.content)}, then this`);

  const [transformed] = await transform(order, identity(), later, marked);

  expect(transformed?.content).toBe("later, then this");
});

test("a rule of one's own is given the context", async () => {
  const rule: Rule = (message, ctx) => withAttributes(message, { attempt: String(ctx.attempt) });
  const next = vi.fn<Next>(() => Promise.resolve());

  await transformer(rule).process(createContext({ attempt: 7 }), order, next);

  expect(next.mock.calls[0]?.[1].attributes).toEqual({ client: "a", attempt: "7" });
});

test.each([
  [
    "throws",
    () => {
      throw new Error("broken rule");
    },
  ],
  ["rejects", () => Promise.reject(new Error("broken rule"))],
] satisfies [string, Rule][])("a rule that %s fails the message in the stage called transformer", async (_how, rule) => {
  const orders = pipeline().use(transformer(rule));

  await expect(orders.process(createContext(), order)).rejects.toMatchObject({ stage: "transformer", cause: new Error("broken rule") });
});

test("something other than a function is refused as a rule, by its place", () => {
  // @ts-expect-error what a caller without types may do
  expect(() => transformer(identity(), "event1")).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringContaining("rule 1") }),
  );
});

test("content is erased from the sources named, and from no other", async () => {
  const other = createMessage({ ...order, source: "event2" });
  const rule = eraseContentFromSources("event1", "event3");

  expect(await transform(order, rule)).toEqual([{ ...order, content: "" }]);
  expect(await transform(other, rule)).toEqual([other]);
});

test.each(["__proto__", "constructor", ""])("a source called %j is a plain name to eraseContentFromSources", async (source) => {
  const message = createMessage({ ...order, source });

  expect(await transform(message, eraseContentFromSources("event1"))).toEqual([message]);
  expect(await transform(message, eraseContentFromSources(source))).toEqual([{ ...message, content: "" }]);
});

test("an alias becomes the name it stands for, and any other source stays", async () => {
  const rule = renameSources({ orders: ["event1", "orders-v1"], bills: ["bills-v1"] });

  expect((await transform(order, rule))[0]?.source).toBe("orders");
  expect(await transform(createMessage({ ...order, source: "event9" }), rule)).toEqual([{ ...order, source: "event9" }]);
});

test("renaming keeps the identity of every message", async () => {
  const names = fc.string({ minLength: 1 });

  await fc.assert(
    fc.asyncProperty(names, names, fc.option(names, { nil: undefined }), async (source, id, origin) => {
      const message = createMessage({ id, key: "k", source, content: "", ...(origin !== undefined && { origin }) });

      const [renamed] = await transform(message, renameSources({ [`${source}-renamed`]: [source] }));

      expect(renamed?.source).toBe(`${source}-renamed`);
      expect(renamed && identityOf(renamed)).toBe(identityOf(message));
    }),
  );
});

test("an alias claimed by two names is refused, and both are named", () => {
  expect(() => renameSources({ orders: ["shared"], bills: ["shared"] })).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringMatching(/"shared".*"bills".*"orders"/) }),
  );
});

test("an alias that others are renamed to is refused, for the order of renaming would then matter", () => {
  expect(() => renameSources({ orders: ["bills"], bills: ["invoices"] })).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});

test.each(["__proto__", "constructor"])("a source called %j is not taken for an alias that nobody gave", async (source) => {
  const message = createMessage({ ...order, source });

  expect(await transform(message, renameSources({ orders: ["event1"] }))).toEqual([message]);
});

test("mapContent gives the function the content and the message", async () => {
  const change = vi.fn<Parameters<typeof mapContent>[0]>(() => new Uint8Array([1]));

  const [changed] = await transform(order, mapContent(change));

  expect(changed?.content).toEqual(new Uint8Array([1]));
  expect(change).toHaveBeenCalledWith("secret", order);
});

test("mapContent waits for a function that takes its time", async () => {
  const [changed] = await transform(
    order,
    mapContent(async () => "later"),
  );

  expect(changed?.content).toBe("later");
});

test("mapAttributes replaces all attributes, on an object without a prototype", async () => {
  const [changed] = await transform(
    order,
    mapAttributes(({ client, ...others }) => ({ ...others, tenant: client ?? "" })),
  );

  expect({ ...changed?.attributes }).toEqual({ tenant: "a" });
  expect(Object.getPrototypeOf(changed?.attributes)).toBeNull();
});

test("mapAttributes refuses an attribute that is no string, naming it", async () => {
  // @ts-expect-error what a caller without types may do
  const rule = mapAttributes(() => ({ total: 12 }));

  await expect(transform(order, rule)).rejects.toMatchObject({ code: "ERR_INVALID_MESSAGE", message: expect.stringContaining("total") });
});

test("a rule may change the key, for it is the user's own", async () => {
  const [moved] = await transform(order, (message) => withKey(message, "order-2"));

  expect(moved).toEqual({ ...order, key: "order-2" });
});

async function transform(message: Message, ...rules: readonly Rule[]): Promise<readonly Message[]> {
  const passedOn: Message[] = [];
  await pipeline()
    .use(transformer(...rules))
    .use(async (_ctx, transformed) => void passedOn.push(transformed))
    .process(createContext(), message);
  return passedOn;
}
