import { findErrorBy } from "@platformatic/kafka";
import { EventDriverError, isEventDriverError, quote } from "event-driver";

/** Whether one of the errors within is this one of Kafka's protocol. */
export function isProtocolError(error: unknown, ...ids: readonly string[]): boolean {
  return error instanceof Error && ids.some((id) => findErrorBy(error, "apiId", id) !== null);
}

/** Whether a broker has answered and does not let us in: it will not be otherwise the next time. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && (findErrorBy(error, "code", "PLT_KFK_AUTHENTICATION") !== null || isProtocolError(error, ...refusals));
}

/** A topic that is missing and may not be made, or cannot be. */
export function topicMissing(topic: string, why: string, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_TOPOLOGY", {
    message: `Kafka has no topic ${quote(topic)}, and ${why}; make it, or give the connection topology: "create" and the right to do it`,
    retryable: true,
    cause,
  });
}

export function groupBusy(stream: string, name: string, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_SUBSCRIPTION_BUSY", {
    message: `name ${quote(name)} of stream ${quote(stream)} has other subscriptions, so its position cannot be set; close them and try again`,
    retryable: true,
    cause,
  });
}

export function closedError(what: string): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_CLOSED", { message: `the connection to Kafka is closed: ${what}`, retryable: true });
}

/** An error of the client while something was asked of the broker. */
export function brokerFailed(what: string, cause: unknown): EventDriverError {
  if (isEventDriverError(cause)) return cause;
  const refused = isRefusal(cause);
  return new EventDriverError("ERR_CONNECTION_FAILED", {
    message: `${what}: Kafka ${refused ? "refused it; give its user the right to" : "did not answer, or could not do it; try again"}`,
    retryable: !refused,
    cause,
  });
}

const refusals = [
  "TOPIC_AUTHORIZATION_FAILED",
  "GROUP_AUTHORIZATION_FAILED",
  "CLUSTER_AUTHORIZATION_FAILED",
  "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
];
