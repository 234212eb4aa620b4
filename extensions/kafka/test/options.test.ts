import type { KafkaConnectionOptions } from "@event-driver/kafka";

import { kafkaConnection } from "@event-driver/kafka";
import { expect, test } from "vitest";

import { requireNative, settingsOf } from "../src/options.ts";

const url = "kafka://localhost:9092";

test("an address says where to go and how, and the options for the client have the last word", () => {
  const given = { url: "kafkas://ann:secret@one:9094", clientOptions: { tls: { ca: "PEM" } } };

  const { servers, clientOptions } = settingsOf(given);

  expect(servers).toEqual(["one:9094"]);
  expect(clientOptions).toEqual({
    clientId: "event-driver",
    tls: { ca: "PEM" },
    sasl: { mechanism: "SCRAM-SHA-512", username: "ann", password: "secret" },
  });
});

const refused: readonly (readonly [string, object])[] = [
  ["connectTimeout", { connectTimeout: 0 }],
  ["topology", { topology: "delete" }],
  ["topic.partitions", { topic: { partitions: 1.5 } }],
  ["topic.replicas", { topic: { replicas: 0 } }],
  ["topicOf", { topicOf: "orders" }],
  ["groupOf", { groupOf: null }],
  ["retryTopics.count", { retryTopics: { count: 0 } }],
  ["retryTopics.streamOf", { retryTopics: { streamOf: "retry" } }],
  ["group.sessionTimeout", { group: { sessionTimeout: Number.NaN } }],
  ["group.heartbeatInterval", { group: { sessionTimeout: 6_000, heartbeatInterval: 3_000 } }],
  ["group.revokeGrace", { group: { sessionTimeout: 6_000, revokeGrace: 3_000 } }],
  ["group.commitInterval", { group: { commitInterval: -1 } }],
  ["fetch.partitionBytes", { fetch: { partitionBytes: 0 } }],
  ["fetch.isolation", { fetch: { isolation: "none" } }],
  ["batchBytes", { batchBytes: 0 }],
  ["compression", { compression: "rar" }],
];

test.each(refused)("a bad %s is refused before anybody is connected to, and named", async (option, given) => {
  const options: KafkaConnectionOptions = { url, ...given };

  await expect(kafkaConnection(options)).rejects.toMatchObject({
    code: "ERR_INVALID_OPTION",
    message: expect.stringContaining(`kafkaConnection: ${option} is`),
  });
});

test.each([
  ["instanceId", { instanceId: "a b" }],
  ["isolation", { isolation: "none" }],
  ["transactional", { transactional: 1 }],
])("a bad native.%s is refused, and named", (option, given) => {
  expect(() => requireNative({ ...JSON.parse(JSON.stringify(given)) })).toThrow(`native.${option} is`);
});

test("the grace stays below half of a short session", () => {
  expect(settingsOf({ url, group: { sessionTimeout: 6_000 } }).group.revokeGrace).toBeLessThan(3_000);
});

test("retry topics are named after the stream, the name where it is another, and the number", () => {
  const streamOf = settingsOf({ url, retryTopics: {} }).retryTopics?.streamOf;

  expect(streamOf?.({ stream: "orders", name: "orders", n: 1 })).toBe("orders.retry.1");
  expect(streamOf?.({ stream: "orders", name: "billing", n: 2 })).toBe("orders.billing.retry.2");
});
