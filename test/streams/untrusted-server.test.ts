import { expect, test } from "vitest";

import { untrustedServer } from "../../src/streams/index.ts";

test.each([
  ["SELF_SIGNED_CERT_IN_CHAIN", "give the authority that has signed it in clientOptions.tls"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "give the authority that has signed it in clientOptions.tls"],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "connect by a name that it is for"],
  ["CERT_HAS_EXPIRED", "renew it"],
])("a certificate that was refused with %s is a final error that says what to do", (code, advice) => {
  const cause = failure(code);

  const error = untrustedServer("NATS at one:4222", "clientOptions.tls", cause);

  expect(error).toMatchObject({ code: "ERR_CONNECTION_FAILED", retryable: false, cause });
  expect(error?.message).toContain("the certificate of NATS at one:4222");
  expect(error?.message).toContain(code);
  expect(error?.message).toContain(advice);
});

test("the refusal is found in what an error was caused by", () => {
  const wrapped = new Error("no broker can be reached", { cause: new Error("connection failed", { cause: failure("CERT_HAS_EXPIRED") }) });

  expect(untrustedServer("Kafka", "clientOptions.tls", wrapped)?.message).toContain("CERT_HAS_EXPIRED");
});

test("of several servers each has to be refused, else another one may still let us in", () => {
  const refused = new Error("the first one", { cause: failure("SELF_SIGNED_CERT_IN_CHAIN") });
  const away = failure("ECONNREFUSED");

  expect(untrustedServer("Kafka", "clientOptions.tls", new AggregateError([refused, away]))).toBeUndefined();
  expect(untrustedServer("Kafka", "clientOptions.tls", new AggregateError([refused, refused]))).toBeDefined();
});

test.each([
  ["a server that is away", failure("ECONNREFUSED")],
  ["no error", undefined],
  ["no server", new AggregateError([])],
])("%s is nothing of that kind", (_what, cause) => {
  expect(untrustedServer("Pulsar", "clientOptions", cause)).toBeUndefined();
});

function failure(code: string): Error {
  return Object.assign(new Error(`something was wrong: ${code}`), { code });
}
