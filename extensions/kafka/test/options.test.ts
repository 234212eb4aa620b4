import type { KafkaConnectionOptions } from "@event-driver/kafka";

import { kafkaConnection } from "@event-driver/kafka";
import { expect, test } from "vitest";

import { requireNative, settingsOf } from "../src/options.ts";

const url = "kafka://localhost:9092";

test.each([
  ["kafka://one:9092", ["one:9092"]],
  ["one", ["one:9092"]],
  [
    ["one:1", "kafka://two:2/"],
    ["one:1", "two:2"],
  ],
  ["KAFKA://10.0.0.1:65535", ["10.0.0.1:65535"]],
])("the servers of %j are %j", (given, servers) => {
  expect(settingsOf({ url: given }).servers).toEqual(servers);
});

test.each(["", "http://one", "one:70000", "one two", "kafka://one/path", []])("url %j is refused", (given) => {
  expect(() => settingsOf({ url: given })).toThrow(/url is .* allowed is/);
});

test("user info is refused, and not shown", () => {
  expect(() => settingsOf({ url: "kafka://ann:secret@one:9092" })).toThrow("credentials go into clientOptions.sasl");
  expect(() => settingsOf({ url: "kafka://ann:secret@one:9092" })).not.toThrow("secret");
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
