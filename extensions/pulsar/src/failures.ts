import type { SubscribeRequest } from "event-driver/streams";

import { EventDriverError, quote } from "event-driver";

import type { PulsarNative } from "./options.ts";

import { RefusalError } from "./socket.ts";

const notFound = 404;

export function busy(request: SubscribeRequest<PulsarNative>, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_SUBSCRIPTION_BUSY", {
    message: `${described(request)} is subscribed to by others, alone or in another way; try again when they have gone`,
    retryable: true,
    cause,
  });
}

export function notOpened(request: SubscribeRequest<PulsarNative>, cause: unknown): unknown {
  if (cause instanceof EventDriverError) return cause;
  const isFinal = cause instanceof RefusalError && cause.isFinal;
  return new EventDriverError(isFinal && cause.status === notFound ? "ERR_TOPOLOGY" : "ERR_CONNECTION_FAILED", {
    message: `${described(request)} was not subscribed to: ${isFinal ? "Pulsar has refused it" : "Pulsar does not answer"}; its cause says why`,
    retryable: !isFinal || cause.status === notFound,
    cause,
  });
}

export function closedEarly(request: SubscribeRequest<PulsarNative>): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_CLOSED", {
    message: `${described(request)} was not subscribed to: the connection was closed; another process may do it`,
    retryable: true,
  });
}

export function notForgotten(request: SubscribeRequest<PulsarNative>): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_FAILED", {
    message: `${described(request)} has left and its position may still be there, for Pulsar has not answered; remove it there, or subscribe and unsubscribe again`,
    retryable: true,
  });
}

export function lost(request: SubscribeRequest<PulsarNative>, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_DELIVERY_LOST", {
    message: `${described(request)} was cut off before the message was done; it is delivered again`,
    retryable: true,
    cause,
  });
}

export function partitioned(stream: string): EventDriverError {
  return new EventDriverError("ERR_UNSUPPORTED", {
    message: `stream ${quote(stream)} has partitions, and a position is one of a single one; backfill by time instead`,
    retryable: false,
  });
}

function described({ stream, name }: SubscribeRequest<PulsarNative>): string {
  return `stream ${quote(stream)} under the name ${quote(name)}`;
}
