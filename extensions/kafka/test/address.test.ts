import fc from "fast-check";
import { expect, test } from "vitest";

import { addressOf } from "../src/address.ts";

test.each([
  ["kafka://one:9092", ["one:9092"]],
  ["one", ["one:9092"]],
  [
    ["one:1", "kafka://two:2/"],
    ["one:1", "two:2"],
  ],
  ["KAFKA://10.0.0.1:65535", ["10.0.0.1:65535"]],
  ["kafka://[::1]:9092", ["[::1]:9092"]],
])("the servers of %j are %j, without TLS or a user", (given, servers) => {
  expect(addressOf(given)).toEqual({ servers, security: {} });
});

test.each([
  ["kafkas://one:9094", { tls: {} }],
  ["kafka://ann:secret@one", { sasl: { mechanism: "SCRAM-SHA-512", username: "ann", password: "secret" } }],
  ["kafkas://ann:@one", { tls: {}, sasl: { mechanism: "SCRAM-SHA-512", username: "ann", password: "" } }],
  ["kafkas://ann:secret@one?mechanism=PLAIN", { tls: {}, sasl: { mechanism: "PLAIN", username: "ann", password: "secret" } }],
  [
    "kafkas://ann:secret@one/?mechanism=scram-sha-256",
    { tls: {}, sasl: { mechanism: "SCRAM-SHA-256", username: "ann", password: "secret" } },
  ],
  [["kafkas://ann:secret@one", "kafkas://two"], { tls: {}, sasl: { mechanism: "SCRAM-SHA-512", username: "ann", password: "secret" } }],
])("%j is reached by %j", (given, security) => {
  expect(addressOf(given).security).toEqual(security);
});

test("any user and password come out of an address as they were put in", () => {
  fc.assert(
    fc.property(fc.string({ minLength: 1 }), fc.string(), (username, password) => {
      const url = `kafkas://${encodeURIComponent(username)}:${encodeURIComponent(password)}@one`;

      expect(addressOf(url).security.sasl).toMatchObject({ username, password });
    }),
  );
});

test.each([
  "",
  "http://one",
  "kafka://",
  "one:70000",
  "one two",
  "kafka://one/path",
  "kafka://one#fragment",
  "kafka://one?ca=ca.pem",
  "kafka://one?mechanism=PLAIN",
  "kafkas://ann@one",
  "kafkas://:secret@one",
  "kafkas://ann:secret@one?mechanism=GSSAPI",
  "kafkas://ann:secret@one?mechanism=PLAIN&token=secret",
  "kafkas://ann:%zz-secret@one",
  "kafkas://ann:sec@ret@one",
  "kafkas://ann:secret#@one",
  ["kafkas://ann:secret@one", "kafka://two"],
  [],
  undefined,
  9092,
])("%j is refused with a word on what is allowed, and nothing of it is shown", (given) => {
  expect(() => addressOf(given)).toThrow(/^kafkaConnection: url is "[a-z ,]+", allowed is /);
  expect(() => addressOf(given)).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.not.stringContaining("sec") }),
  );
});
