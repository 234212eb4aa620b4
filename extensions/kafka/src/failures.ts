import { AuthenticationError, findErrorBy, GenericError } from "@platformatic/kafka";
import { EventDriverError, isEventDriverError, quote } from "event-driver";
import { untrustedServer } from "event-driver/streams";

/** Whether one of the errors within is this one of Kafka's protocol. */
export function isProtocolError(error: unknown, ...ids: readonly string[]): boolean {
  return error instanceof Error && ids.some((id) => findErrorBy(error, "apiId", id) !== null);
}

/** Whether a broker has answered and does not let us in: it will not be otherwise the next time. */
export function isRefusal(error: unknown): boolean {
  return isProtocolError(error, ...refusals) || isLoginRefusal(error);
}

/**
 * Whether the credentials are why nothing was connected. The client counts an answer that was cut off as one too, so there has to be one of the broker, or
 * nothing that has caused it.
 */
function isLoginRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (isProtocolError(error, ...loginRefusals)) return true;
  if (error instanceof AuthenticationError && error.cause === undefined) return true;
  return isLoginRefusal(error.cause) || (error instanceof AggregateError && error.errors.some(isLoginRefusal));
}

/** Whether the same may go well later. Nobody has said then that it never will. */
export function isPassing(error: unknown): boolean {
  if (isEventDriverError(error)) return error.code === "ERR_CONNECTION_FAILED" && error.retryable;
  return error instanceof Error && isOfClient(error) && findErrorBy(error, "canRetry", false) === null;
}

/** Whether a broker has the records of a request from an earlier time that it was sent. */
export function isAlreadyWritten(error: unknown): boolean {
  return isProtocolError(error, "DUPLICATE_SEQUENCE_NUMBER");
}

/** Whether the records do not follow on what a broker has of the same producer, or it knows that one no longer. */
export function isOutOfSequence(error: unknown): boolean {
  return isProtocolError(error, ...sequenceErrors);
}

/** What there is to say when the certificates of all brokers were refused. */
export function notTrusted({ servers }: { readonly servers: readonly string[] }, cause: unknown): EventDriverError | undefined {
  return untrustedServer(`Kafka at ${servers.join(", ")}`, "clientOptions.tls", cause);
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

const sequenceErrors = [
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "UNKNOWN_PRODUCER_ID",
  "INVALID_PRODUCER_EPOCH",
  "INVALID_PRODUCER_ID_MAPPING",
  "PRODUCER_FENCED",
];

const refusals = [
  "TOPIC_AUTHORIZATION_FAILED",
  "GROUP_AUTHORIZATION_FAILED",
  "CLUSTER_AUTHORIZATION_FAILED",
  "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
];

const loginRefusals = ["SASL_AUTHENTICATION_FAILED", "UNSUPPORTED_SASL_MECHANISM", "ILLEGAL_SASL_STATE"];

/** All of them are marked, also those that hold several. */
function isOfClient(error: Error): boolean {
  return GenericError.isGenericError(error);
}
