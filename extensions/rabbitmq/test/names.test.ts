import fc from "fast-check";
import { expect, test } from "vitest";

import { exchangeOf, lockOf, partitionOfQueue, queueOf, seatOf, waitQueueOf } from "../src/names.ts";

const name = fc.oneof(
  fc.string({ unit: "grapheme", minLength: 1 }),
  fc.string({ unit: fc.constantFrom("a", "A", "%", "#", "~", ".", "é", "4", "1"), minLength: 1 }),
);
const longName = fc.string({ unit: fc.constantFrom("a", "b", "é"), minLength: 200, maxLength: 400 });

test("a plain name is its own exchange and queue", () => {
  expect(exchangeOf("shop/orders.eu-1:new")).toBe("shop/orders.eu-1:new");
  expect(queueOf("shop/orders", "shop/orders")).toBe("shop/orders");
  expect(queueOf("orders", "billing")).toBe("orders#billing");
});

test("what AMQP or the broker has a use for is percent-encoded", () => {
  expect(exchangeOf("Größe 100%")).toBe("Gr%C3%B6%C3%9Fe%20100%25");
  expect(exchangeOf("a\r\nb")).toBe("a%0D%0Ab");
  expect(exchangeOf("amq.topic")).toBe("%61mq.topic");
});

test("different streams have different exchanges, and different names of streams different queues", () => {
  const place = fc.tuple(fc.oneof(name, longName), fc.oneof(name, longName));

  fc.assert(
    fc.property(place, place, ([stream, group], [otherStream, otherGroup]) => {
      expect(exchangeOf(stream) === exchangeOf(otherStream)).toBe(stream === otherStream);
      expect(queueOf(stream, group) === queueOf(otherStream, otherGroup)).toBe(stream === otherStream && group === otherGroup);
    }),
  );
});

test("every name of a queue is ASCII that fits into a short string of AMQP, also those of waiting and locks", () => {
  fc.assert(
    fc.property(fc.oneof(name, longName), fc.oneof(name, longName), fc.integer({ min: 1, max: 2 ** 31 }), (stream, group, delay) => {
      const partition = partitionOfQueue(queueOf(stream, group), 59);
      for (const each of [
        exchangeOf(stream),
        waitQueueOf(partition, delay),
        lockOf(partition),
        lockOf(seatOf(queueOf(stream, group), 999)),
      ]) {
        expect(each).toMatch(/^[\x21-\x7E]+$/);
        expect(each.length).toBeLessThanOrEqual(255);
        expect(each).not.toMatch(/^amq\./);
      }
    }),
  );
});

test("a long name keeps its beginning, so that it can be found", () => {
  expect(exchangeOf("orders-".repeat(100))).toMatch(/^(orders-)+/);
});
