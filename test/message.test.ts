import fc from "fast-check";
import { expect, test } from "vitest";

import { createMessage, identityOf, isType, withAttributes, withContent, withKey, withSource } from "../src/message.ts";

const order = createMessage({
  id: "1",
  key: "order-1",
  source: "orders",
  type: "order.created",
  time: "2024-05-01T12:00:00.123456789Z",
  content: '{"total":12}',
  attributes: { client: "shop" },
});

test("a message is made of its parts, as they were given", () => {
  expect(order).toEqual({
    id: "1",
    key: "order-1",
    source: "orders",
    type: "order.created",
    time: "2024-05-01T12:00:00.123456789Z",
    content: '{"total":12}',
    attributes: { client: "shop" },
  });
});

test("parts that were not given are absent, and not undefined", () => {
  const message = createMessage({ key: "k", source: "s", content: "" });

  expect(Object.keys(message).sort()).toEqual(["attributes", "content", "id", "key", "source"]);
});

test("without an id each message gets one of its own", () => {
  const [one, other] = [createMessage({ key: "k", source: "s", content: "" }), createMessage({ key: "k", source: "s", content: "" })];

  expect(one.id).toMatch(/^[0-9a-f-]{36}$/);
  expect(other.id).not.toBe(one.id);
});

test.for(["id", "key", "source", "origin", "type", "time"] as const)("a %s that is no string is refused by name", (part) => {
  const create = (): unknown => Reflect.apply(createMessage, undefined, [{ key: "k", source: "s", content: "", [part]: 12 }]);

  expect(create).toThrow(
    expect.objectContaining({
      code: "ERR_INVALID_MESSAGE",
      retryable: false,
      message: `a message's ${part} is number, it must be a string`,
    }),
  );
});

test("an attribute that is no string is refused by name", () => {
  const create = (): unknown =>
    Reflect.apply(createMessage, undefined, [{ key: "k", source: "s", content: "", attributes: { client: 12 } }]);

  expect(create).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_MESSAGE", message: 'a message\'s attribute "client" is number, it must be a string' }),
  );
});

test("attributes have no prototype, so every name is only an attribute", () => {
  const attributes = JSON.parse('{"__proto__":"plain","constructor":"plain"}');

  const message = createMessage({ key: "k", source: "s", content: "", attributes });

  expect(Object.getPrototypeOf(message.attributes)).toBeNull();
  expect(Object.entries(message.attributes)).toEqual([
    ["__proto__", "plain"],
    ["constructor", "plain"],
  ]);
  expect(message.attributes["toString"]).toBeUndefined();
});

test("attributes that are changed after a message was made do not change it", () => {
  const attributes = { client: "shop" };
  const message = createMessage({ key: "k", source: "s", content: "", attributes });

  attributes.client = "another";

  expect(message.attributes["client"]).toBe("shop");
});

test("withContent changes the content and nothing else", () => {
  expect(withContent(order, 12)).toEqual({ ...order, content: 12 });
  expect(order.content).toBe('{"total":12}');
});

test("withKey changes the key and nothing else", () => {
  expect(withKey(order, "order-2")).toEqual({ ...order, key: "order-2" });
  expect(order.key).toBe("order-1");
});

test("withSource keeps the identity, for the former source stays as origin", () => {
  const renamed = withSource(order, "event1");

  expect(renamed).toEqual({ ...order, source: "event1", origin: "orders" });
  expect(identityOf(renamed)).toBe(identityOf(order));
});

test("withSource leaves an origin as it is", () => {
  const message = createMessage({ ...order, origin: "/shop#orders" });

  expect(withSource(withSource(message, "a"), "b")).toMatchObject({ source: "b", origin: "/shop#orders" });
});

test("withAttributes adds to the attributes and replaces those of the same name", () => {
  const message = withAttributes(order, { client: "web", traceparent: "00-1" });

  expect(message.attributes).toEqual({ client: "web", traceparent: "00-1" });
  expect(Object.getPrototypeOf(message.attributes)).toBeNull();
  expect(order.attributes).toEqual({ client: "shop" });
});

test.for([
  ["withKey", () => Reflect.apply(withKey, undefined, [order, null])],
  ["withSource", () => Reflect.apply(withSource, undefined, [order, {}])],
  ["withAttributes", () => Reflect.apply(withAttributes, undefined, [order, { a: true }])],
] as const)("%s refuses what is no string", ([_name, change]) => {
  expect(change).toThrow(expect.objectContaining({ code: "ERR_INVALID_MESSAGE" }));
});

test("two messages have one identity exactly when origin and id are equal", () => {
  const part = fc.constantFrom("a", "b", 'a","b', '"', "\\", "", "a/b");
  fc.assert(
    fc.property(part, part, part, part, (origin, id, otherOrigin, otherId) => {
      const one = createMessage({ id, key: "k", source: "s", origin, content: "" });
      const other = createMessage({ id: otherId, key: "k", source: "t", origin: otherOrigin, content: "" });

      expect(identityOf(one) === identityOf(other)).toBe(origin === otherOrigin && id === otherId);
    }),
  );
});

test("without an origin the source takes its place in the identity", () => {
  expect(identityOf(order)).toBe('["orders","1"]');
});

test("isType tells whether a message is of one of some types", () => {
  expect(isType(order, "order.created")).toBe(true);
  expect(isType(order, "order.cancelled", "order.created")).toBe(true);
  expect(isType(order, "order.cancelled")).toBe(false);
  expect(isType(order)).toBe(false);
  expect(isType(createMessage({ key: "k", source: "s", content: "" }), "order.created")).toBe(false);
});
