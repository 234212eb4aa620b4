import type { RabbitmqConnectionOptions } from "@event-driver/rabbitmq";

import { rabbitmqConnection } from "@event-driver/rabbitmq";
import { expect, test } from "vitest";

import { settingsOf } from "../src/options.ts";

const url = "amqp://localhost";

test.each<[string, RabbitmqConnectionOptions]>([
  ["url", { url: "" }],
  ["url", { url: [] }],
  ["url", { url: "http://localhost" }],
  ["url", { url: ["amqp://one", "amqps://two"] }],
  ["url", { url: ["amqp://[::1]", "amqp://two"] }],
  ["connectTimeout", { url, connectTimeout: 0 }],
  ["replicas", { url, replicas: 1.5 }],
  ["lagInterval", { url, lagInterval: -1 }],
  ["publishBuffer", { url, publishBuffer: 0 }],
  ["mode", { url, mode: JSON.parse('"other"') }],
  ["topology", { url, topology: JSON.parse('"guess"') }],
  ["unrouted", { url, unrouted: JSON.parse('"keep"') }],
  ["singleActiveConsumer", { url, singleActiveConsumer: JSON.parse("1") }],
  ["partitions", { url, partitions: 0 }],
  ["partitions", { url, partitions: 61 }],
  ["partitions", { url, partitions: 2, singleActiveConsumer: true }],
  ["queueArguments", { url, queueArguments: JSON.parse("null") }],
  ["url", { url: "amqp://anna:secret%@rabbit" }],
  ["clientOptions", { url, clientOptions: { heartbeat: -1 } }],
])("%s that is not allowed is refused", async (option, options) => {
  const error: unknown = await rabbitmqConnection(options).catch((reason: unknown) => reason);

  expect(error).toMatchObject({ code: "ERR_INVALID_OPTION", retryable: false, message: expect.stringContaining(option) });
});

test("an error of the url says nothing of its password", async () => {
  await expect(rabbitmqConnection({ url: "http://anna:secret@localhost" })).rejects.toMatchObject({
    message: expect.not.stringContaining("secret"),
  });
});

test("user, password and virtual host are those of the url, unescaped", () => {
  expect(settingsOf({ url: "amqp://anna:p%40ss@rabbit:5673/my%2Fhost" }).client).toMatchObject({
    hostname: "rabbit",
    port: "5673",
    username: "anna",
    password: "p@ss",
    vhost: "my/host",
  });
});

test("amqps means TLS on its own port, and what the client is given of TLS is kept", () => {
  expect(settingsOf({ url: "amqps://10.0.0.1" }).client).toMatchObject({ port: "5671", tls: true });
  expect(settingsOf({ url: "amqps://rabbit", clientOptions: { tls: { servername: "other" } } }).client).toMatchObject({
    tls: { servername: "other" },
  });
});

test("a server is told the name that it is called by, as it may have several certificates", () => {
  const tls = { ca: "of our own" };

  expect(settingsOf({ url: "amqps://rabbit" }).client.tls).toEqual({ servername: "rabbit" });
  expect(settingsOf({ url: "amqps://rabbit", clientOptions: { tls } }).client.tls).toEqual({ servername: "rabbit", ca: "of our own" });
  expect(settingsOf({ url: "amqps://10.0.0.1", clientOptions: { tls } }).client.tls).toEqual(tls);
  expect(settingsOf({ url: ["amqps://one", "amqps://two"], clientOptions: { tls } }).client.tls).toEqual(tls);
});

test("several servers are tried in turn, and named without their users", () => {
  const { client, servers } = settingsOf({ url: ["amqp://anna:secret@one", "amqp://two:5673"] });

  expect(client.hosts).toEqual(["one:5672", "two:5673"]);
  expect(servers).toBe("one:5672, two:5673");
});

test("an address of IPv6 is given without the brackets that only a URL has", () => {
  expect(settingsOf({ url: "amqp://[::1]" })).toMatchObject({ client: { hostname: "::1" }, servers: "[::1]:5672" });
});

test("who publishes is the name of the connection at the broker, unless that has one of its own", () => {
  expect(settingsOf({ url, client: "shop" }).client.connectionName).toBe("shop");
  expect(settingsOf({ url, client: "shop", clientOptions: { connectionName: "shop-1" } }).client.connectionName).toBe("shop-1");
});
