import type { AsyncMessage } from "rabbitmq-client";

import { amqpBinding } from "@event-driver/cloudevents/bindings";
import { createMessage, type Message } from "event-driver";
import { partitionOf } from "event-driver/streams";
import { expect, test } from "vitest";

import {
  attemptOf,
  type OutgoingRecord,
  positionOf,
  positions,
  readRecord,
  recordOf,
  slotKey,
  slots,
  waitingRecord,
} from "../src/records.ts";

const binding = amqpBinding();
const message = createMessage({
  id: "1",
  key: "order-1",
  source: "shop",
  content: "{}",
  attributes: { datacontenttype: "application/json" },
});

test("a record is durable, routed by its key and its slot, and has the position it was given", () => {
  const { envelope } = recordOf(message, binding, { position: "p-7", expiresAfter: undefined });

  expect(envelope).toMatchObject({ durable: true, routingKey: "order-1", contentType: "application/json", messageId: "p-7" });
  expect(envelope.headers).toMatchObject({ CC: [slotKey(partitionOf("order-1", slots))] });
});

test("no two records have the same position, those of other connections included", () => {
  const [ours, theirs] = [positions(), positions()];

  const all = Array.from({ length: 100 }, () => [ours(), theirs()]).flat();

  expect(new Set(all).size).toBe(200);
});

test.each([
  ["is too long to be routed by", "ü".repeat(128)],
  ["could be taken for a slot", slotKey(7)],
])("a key that %s is left to the headers", (_which, key) => {
  const long = { ...message, key };

  const { envelope, body } = written(long);

  expect(envelope.routingKey).toBe("");
  expect(readRecord(inboundOf({ ...envelope, body }), "orders", binding).message).toEqual(long);
});

test.each([
  [undefined, undefined],
  [1, "1"],
  [0.5, "1"],
  [2 ** 32 - 1, "4294967295"],
  [2 ** 32, undefined],
  [Infinity, undefined],
])("an expiry of %s is %s at the broker, which is never sooner", (expiresAfter, expiration) => {
  expect(recordOf(message, binding, { position: "p-1", expiresAfter }).envelope.expiration).toBe(expiration);
});

test("attributes that do not fit into a frame are refused before they end the channel", () => {
  const large = { ...message, attributes: { note: "é".repeat(70_000) } };

  expect(() => written(large)).toThrow(expect.objectContaining({ code: "ERR_TOO_LARGE", retryable: false }));
});

test.each([
  ["the first delivery", {}, 1],
  ["redelivered by a queue that does not count", { redelivered: true }, 2],
  ["redelivered by one that does", { redelivered: true, headers: { "x-delivery-count": 3 } }, 4],
  ["counted by a newer broker", { redelivered: true, headers: { "x-delivery-count": 1, "x-acquired-count": 5 } }, 6],
  ["after it has waited", { headers: { "event-driver-attempts": 3 } }, 4],
  ["redelivered after it has waited", { redelivered: true, headers: { "event-driver-attempts": 3, "x-delivery-count": 1 } }, 5],
])("attempt: %s", (_when, inbound, attempt) => {
  expect(attemptOf(inboundOf(inbound))).toBe(attempt);
});

test("a record that has waited reads as the one that came, and counts on", () => {
  const { envelope, body } = written(message);
  const first = inboundOf({ ...envelope, body, contentEncoding: "identity" });

  const waiting = waitingRecord(first, "orders~wait~1000");
  const again = inboundOf({ ...waiting.envelope, routingKey: "orders", body: waiting.body });

  expect(readRecord(again, "orders", binding)).toEqual(readRecord(first, "orders", binding));
  expect(positionOf(again)).toBe(positionOf(first));
  expect(attemptOf(again)).toBe(2);
  expect(waiting.envelope).toMatchObject({ routingKey: "orders~wait~1000", durable: true });
  expect(waiting.envelope).not.toHaveProperty("contentEncoding");
});

test("a record that waits takes neither its expiry nor the broker's own headers with it", () => {
  const waiting = waitingRecord(
    inboundOf({ expiration: "10", headers: { "x-death": [], "x-delivery-count": 2, tenant: "acme" } }),
    "orders~wait~1000",
  );

  expect(waiting.envelope).not.toHaveProperty("expiration");
  expect(waiting.envelope.headers).toEqual({ tenant: "acme", "event-driver-attempts": 3, "event-driver-routing-key": "order-1" });
});

function written(given: Message): OutgoingRecord {
  return recordOf(given, binding, { position: "p-1", expiresAfter: undefined });
}

function inboundOf(parts: Partial<AsyncMessage>): AsyncMessage {
  return {
    consumerTag: "tag",
    deliveryTag: 1,
    exchange: "orders",
    redelivered: false,
    routingKey: "order-1",
    body: Buffer.alloc(0),
    ...parts,
  };
}
