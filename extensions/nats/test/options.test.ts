import { expect, test } from "vitest";

import { nativeOf, type NatsConnectionOptions, settingsOf } from "../src/options.ts";

const url = "nats://localhost:4222";

test("servers are what the URLs say, without their users", () => {
  const { servers, clientOptions } = settingsOf({ url: ["nats://ann:s%40cret@one:4333", "two", "nats://[::1]:4222"] });

  expect(servers).toEqual(["one:4333", "two:4222", "[::1]:4222"]);
  expect(clientOptions).toEqual({ user: "ann", pass: "s@cret" });
});

test("a user without a password is a token", () => {
  expect(settingsOf({ url: "nats://abc@one" }).clientOptions).toEqual({ token: "abc" });
});

test("tls:// asks for TLS, and clientOptions have the last word", () => {
  expect(settingsOf({ url: "tls://one", clientOptions: { tls: { caFile: "ca.pem" } } }).clientOptions).toEqual({
    tls: { caFile: "ca.pem" },
  });
  expect(settingsOf({ url: "tls://one" }).clientOptions).toEqual({ tls: {} });
});

test("the certificate of a server that is given by its address is compared with that address", () => {
  const { tls } = settingsOf({ url: ["tls://10.0.0.1", "tls://[::1]"] }).clientOptions;
  const check: unknown = Reflect.get(tls ?? {}, "checkServerIdentity");
  if (typeof check !== "function") throw new Error("nothing compares certificates");
  const certificateOf = (address: string): object => ({ subject: {}, subjectaltname: `IP Address:${address}` });

  // The client gives this name for every address.
  expect(check("localhost", certificateOf("10.0.0.1"))).toBeUndefined();
  expect(check("localhost", certificateOf("::1"))).toBeUndefined();
  expect(check("localhost", certificateOf("10.0.0.2"))).toMatchObject({ code: "ERR_TLS_CERT_ALTNAME_INVALID" });
  expect(check("other", certificateOf("10.0.0.1"))).toMatchObject({ code: "ERR_TLS_CERT_ALTNAME_INVALID" });
});

const bad: readonly [option: string, options: NatsConnectionOptions][] = [
  ["url", { url: [] }],
  ["url", { url: "" }],
  ["url", { url: "http://localhost" }],
  ["url", { url: "nats://ann:secret%@localhost" }],
  ["connectTimeout", { url, connectTimeout: 0 }],
  ["publishTimeout", { url, publishTimeout: Infinity }],
  ["apiPrefix", { url, apiPrefix: "$JS.*" }],
  ["stream.replicas", { url, stream: { replicas: 1.5 } }],
  ["stream.maxAge", { url, stream: { maxAge: -1 } }],
  ["stream.maxMessages", { url, stream: { maxMessages: 0 } }],
  ["stream.duplicateWindow", { url, stream: { duplicateWindow: 1_000 } }],
  ["stream.duplicateWindow", { url, stream: { maxAge: 60_000 } }],
  ["stream.partitions", { url, stream: { partitions: 0 } }],
  ["stream.partitions", { url, stream: { partitions: 1.5 } }],
  ['streams["orders"].partitions', { url, streams: { orders: { partitions: 257 } } }],
  ['streams["orders"].name', { url, streams: { orders: { name: "a.b" } } }],
  ['streams["orders"].subject', { url, streams: { orders: { subject: "orders.>" } } }],
  ['streams["orders"].maxBytes', { url, streams: { orders: { maxBytes: 0 } } }],
];

test.each(bad)("a bad %s is refused by its name", (option, options) => {
  expect(() => settingsOf(options)).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringContaining(`natsConnection: ${option} is`) }),
  );
});

test("a bad url is refused without being shown, for it may hold a password", () => {
  expect(() => settingsOf({ url: "ftp://ann:secret@host" })).toThrow(
    expect.not.objectContaining({ message: expect.stringContaining("secret") }),
  );
});

test("bad native options are refused by their names", () => {
  expect(() => nativeOf({ filterSubjects: [] })).toThrow(/native\.filterSubjects/);
  expect(() => nativeOf({ filterSubjects: ["a..b"] })).toThrow(/native\.filterSubjects/);
  expect(() => nativeOf({ inactiveThreshold: 0 })).toThrow(/native\.inactiveThreshold/);
  expect(nativeOf({ filterSubjects: ["orders.*.paid", "bills.>"] }).filterSubjects).toEqual(["orders.*.paid", "bills.>"]);
});
