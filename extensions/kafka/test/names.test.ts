import fc from "fast-check";
import { expect, test } from "vitest";

import { groupOfName, topicOfStream } from "../src/names.ts";

test.each([
  ["orders", "orders"],
  ["orders.eu-west", "orders.eu-west"],
  ["Orders", "Orders"],
  ["orders/eu", "orders_2feu"],
  ["order_events", "order_5fevents"],
  ["Größe", "Gr_c3_b6_c3_9fe"],
  [".", "_2e"],
  ["..", "_2e_2e"],
  ["a.2f", "a_2e2f"],
])("the topic of stream %s is %s", (stream, topic) => {
  expect(topicOfStream(stream)).toBe(topic);
});

const anyStream = fc.oneof(
  fc.string({ unit: "grapheme", minLength: 1 }),
  fc.string({ unit: fc.constantFrom(".", "_", "-", "/", "2", "f", "z"), minLength: 1, maxLength: 6 }),
);

test("every stream has a topic that Kafka allows", () => {
  fc.assert(
    fc.property(fc.oneof(anyStream, fc.string({ unit: "grapheme", minLength: 200, maxLength: 1_000 })), (stream) => {
      const topic = topicOfStream(stream);

      expect(topic).toMatch(/^[\w.-]{1,249}$/);
      expect(topic).not.toMatch(/^\.{1,2}$/);
    }),
  );
});

test("two streams never have topics that Kafka takes for the same", () => {
  fc.assert(
    fc.property(anyStream, anyStream, (one, other) => {
      fc.pre(one !== other);

      expect(asKafkaCompares(topicOfStream(one))).not.toBe(asKafkaCompares(topicOfStream(other)));
    }),
    { numRuns: 2_000 },
  );
});

test("long streams that differ at the end have different topics", () => {
  const beginning = "x".repeat(400);

  expect(topicOfStream(`${beginning}1`)).not.toBe(topicOfStream(`${beginning}2`));
});

test("the group of a name is readable, and its stream's topic where they are the same", () => {
  expect([groupOfName("orders", "orders"), groupOfName("orders", "billing")]).toEqual(["orders", "orders/billing"]);
});

test("two names of two streams never have the same group", () => {
  fc.assert(
    fc.property(anyStream, anyStream, anyStream, anyStream, (stream, name, otherStream, otherName) => {
      fc.pre(stream !== otherStream || name !== otherName);

      expect(groupOfName(stream, name)).not.toBe(groupOfName(otherStream, otherName));
    }),
    { numRuns: 2_000 },
  );
});

/** Its metrics know no dots, so it refuses a topic that differs from another one only there. */
function asKafkaCompares(topic: string): string {
  return topic.replaceAll(".", "_");
}
