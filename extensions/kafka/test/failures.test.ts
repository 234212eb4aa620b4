import { AuthenticationError, MultipleErrors, NetworkError, ProtocolError } from "@platformatic/kafka";
import { expect, test } from "vitest";

import { brokerFailed, isRefusal } from "../src/failures.ts";

test.each(["SASL_AUTHENTICATION_FAILED", "UNSUPPORTED_SASL_MECHANISM"] as const)(
  "credentials are refused when a broker says %s, however deep",
  (id) => {
    const error = unreachable(new AuthenticationError("SASL authentication failed.", { cause: new ProtocolError(id) }));

    expect(isRefusal(error)).toBe(true);
    expect(brokerFailed("topic orders", error)).toMatchObject({ code: "ERR_CONNECTION_FAILED", retryable: false });
  },
);

test("a broker that does not know the password itself is refused", () => {
  expect(isRefusal(unreachable(new AuthenticationError("Invalid server signature.")))).toBe(true);
});

test("a connection that is lost while credentials are checked is not a refusal", () => {
  const error = unreachable(new AuthenticationError("SASL authentication failed.", { cause: new NetworkError("Connection closed") }));

  expect(isRefusal(error)).toBe(false);
  expect(brokerFailed("topic orders", error)).toMatchObject({ code: "ERR_CONNECTION_FAILED", retryable: true });
});

test("a right that is missing is a refusal", () => {
  expect(isRefusal(new MultipleErrors("Describing topics failed.", [new ProtocolError("TOPIC_AUTHORIZATION_FAILED")]))).toBe(true);
});

/** As the client says it. */
function unreachable(cause: Error): Error {
  return new MultipleErrors("Cannot connect to any broker.", [new NetworkError("Connection to one:9092 failed.", { cause })]);
}
