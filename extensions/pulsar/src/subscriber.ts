import type { Binding } from "@event-driver/cloudevents/bindings";
import type { Backfill, Sink, SubscribeRequest, TransportSubscription } from "event-driver/streams";

import { EventDriverError, invalidOption, quote } from "event-driver";

import type { Admin } from "./admin.ts";
import type { PulsarNative, PulsarSettings } from "./options.ts";

import { type ReceivedText, PulsarInbound } from "./inbound.ts";
import { Link, type Presence, RefusalError } from "./link.ts";
import { cursorJson } from "./message-id.ts";
import { pulsarName } from "./names.ts";

export interface SubscriberOptions {
  readonly request: SubscribeRequest<PulsarNative>;
  readonly sink: Sink;
  readonly settings: PulsarSettings;
  readonly presence: Presence;
  readonly admin: Admin;
  readonly binding: Binding;
}

/** What comes over the socket: a message, or the answer to the question whether the topic has ended. */
type Received = ReceivedText | { readonly messageId?: undefined; readonly endOfTopic?: boolean };

/** How long a name that is taken is asked for again, in milliseconds: Pulsar notices a moment later that somebody has gone. */
const grace = 1_000;
/** A position with everything behind it that the topic still has. */
const earliest = '{"ledgerId":-1,"entryId":-1,"partitionIndex":-1}';
const conflict = 409;
const notFound = 404;
/** More than that Pulsar does not put before one subscriber. */
const maxQueue = 1_000;

/** One subscription over one socket. What is unsettled when the socket goes down is Pulsar's again, and comes anew. */
export class Subscriber implements TransportSubscription {
  readonly stream: string;
  readonly name: string;
  /** The names of both at the broker. */
  readonly topic: string;
  readonly subscription: string;
  readonly #options: SubscriberOptions;
  readonly #query: string;
  /** Where a position that is made is to begin, except at either end. */
  readonly #cursor: string | undefined;
  readonly #link: Link;
  readonly #askedAt: number;
  readonly #opened = Promise.withResolvers<void>();
  #hasOpened = false;
  #isCreated = false;
  #isPositioned = false;
  #isStopped = false;
  #leaving: Promise<void> | undefined;
  /** Of the socket that is open. */
  #session = new AbortController();
  /** Told when Pulsar has carried out what was sent before it was asked. */
  #onAnswer: (() => void) | undefined;

  constructor(options: SubscriberOptions) {
    const { request, settings, presence } = options;
    const { tenant, namespace } = settings;
    this.#options = options;
    this.stream = request.stream;
    this.name = request.name;
    this.topic = pulsarName(request.stream);
    this.subscription = pulsarName(request.name);
    this.#query = queryOf(request);
    this.#cursor = cursorOf(request.backfill);
    this.#askedAt = settings.clock.now();
    this.#link = new Link(settings, presence, {
      prepare: () => this.#prepare(),
      address: () => `/ws/v2/consumer/persistent/${tenant}/${namespace}/${this.topic}/${this.subscription}?${this.#query}`,
      isNeeded: () => true,
      onOpen: () => this.#onOpen(),
      onText: (text) => this.#onText(JSON.parse(text)),
      onDown: (error) => this.#onDown(error),
      onFailure: (error) => this.#onFailure(error),
    });
  }

  /** @throws EventDriverError `ERR_SUBSCRIPTION_BUSY`, `ERR_TOPOLOGY`, `ERR_CONNECTION_FAILED`, `ERR_INVALID_OPTION`, `ERR_UNSUPPORTED` */
  async open(): Promise<void> {
    this.#link.start();
    await this.#opened.promise;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
  }

  async close(): Promise<void> {
    await (this.#leaving ??= this.#leave(false));
  }

  async forget(): Promise<void> {
    await (this.#leaving ??= this.#leave(true));
  }

  async #prepare(): Promise<void> {
    await this.#options.admin.ensureTopic(this.topic);
    if (this.#isPositioned) return;
    await this.#position();
    this.#isPositioned = true;
  }

  /** Where the name has no position yet, or is to have another one. The end and the beginning need nothing: the socket's address says them. */
  async #position(): Promise<void> {
    const { admin, request } = this.#options;
    const { backfill, reset } = request;
    if (reset && !(await admin.deleteSubscription(this.topic, this.subscription)))
      throw new RefusalError(conflict, "others are subscribed, so the position is not reset");
    if (this.#cursor === undefined) return;
    if (!(backfill instanceof Date) && (await admin.partitionsOf(this.topic))) throw partitioned(request.stream);
    this.#isCreated ||= await admin.createSubscription(this.topic, this.subscription, this.#cursor);
    if (backfill instanceof Date && this.#isCreated) await admin.resetToTime(this.topic, this.subscription, backfill.getTime());
  }

  #onOpen(): void {
    this.#session = new AbortController();
    this.#hasOpened = true;
    this.#opened.resolve();
    if (this.#onAnswer !== undefined) this.#sayUnsubscribe();
  }

  #onText(received: Received): void {
    if (received.messageId === undefined) return this.#onAnswer?.();
    if (this.#isStopped) return;
    const { binding, request, sink } = this.#options;
    sink.deliver(
      new PulsarInbound({
        received,
        stream: request.stream,
        binding,
        signal: this.#session.signal,
        ack: this.#ack,
        release: this.#release,
      }),
    );
  }

  #onDown(error: Error): void {
    const { request, settings } = this.#options;
    this.#session.abort(lost(request, error));
    if (this.#leaving === undefined)
      settings.logger.warn({ stream: request.stream, name: request.name, err: error }, "a subscription has lost Pulsar");
  }

  #onFailure(error: unknown): boolean {
    const { request, settings, admin } = this.#options;
    const { logger, clock, connectTimeout } = settings;
    if (error instanceof RefusalError) admin.missTopic(this.topic);
    const waited = clock.now() - this.#askedAt;
    const isBusy = error instanceof RefusalError && error.status === conflict;
    const isFinal = error instanceof EventDriverError || (error instanceof RefusalError && error.isFinal && !isBusy);
    if (this.#hasOpened) {
      logger.warn({ stream: request.stream, name: request.name, err: error }, "a subscription was not opened again; it is tried on");
      return true;
    }
    if (!isFinal && waited < (isBusy ? grace : connectTimeout)) return true;
    this.#opened.reject(isBusy ? busy(request, error) : notOpened(request, error));
    return false;
  }

  readonly #ack = (messageId: string): void => {
    this.#link.send(JSON.stringify({ messageId }));
  };

  /** Those that stop are about to leave, and then all that is unsettled goes back at once, in its order. */
  readonly #release = (messageId: string): void => {
    if (!this.#isStopped) this.#link.send(JSON.stringify({ type: "negativeAcknowledge", messageId }));
  };

  async #leave(forget: boolean): Promise<void> {
    this.#isStopped = true;
    this.#opened.promise.catch(() => {});
    this.#opened.reject(closedEarly(this.#options.request));
    try {
      if (forget) await this.#unsubscribe();
    } finally {
      await this.#link.close();
    }
  }

  /** Pulsar removes the position when nobody else is subscribed, and tells neither. */
  async #unsubscribe(): Promise<void> {
    const { request, settings } = this.#options;
    const { clock, connectTimeout } = settings;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const cancel = clock.after(connectTimeout, () => reject(notForgotten(request)));
    this.#onAnswer = resolve;
    this.#sayUnsubscribe();
    await promise.finally(cancel);
  }

  /** What is sent over one socket is carried out in turn, so the answer to the question says that what is before it is done. */
  #sayUnsubscribe(): void {
    this.#link.send(JSON.stringify({ type: "unsubscribe" }));
    this.#link.send(JSON.stringify({ type: "isEndOfTopic" }));
  }
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
function cursorOf(backfill: Backfill): string | undefined {
  if (typeof backfill === "boolean") return undefined;
  return backfill instanceof Date ? earliest : cursorJson(backfill.position);
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
function queryOf({ exclusive, maxInFlight, backfill, native = {} }: SubscribeRequest<PulsarNative>): string {
  const { subscriptionType = exclusive ? "Exclusive" : "Key_Shared", priorityLevel, redeliveryDelay = 100, deadLetterPolicy } = native;
  if (!["Key_Shared", "Shared", "Failover", "Exclusive"].includes(subscriptionType))
    throw invalidOption("subscribe", "native.subscriptionType", subscriptionType, '"Key_Shared", "Shared", "Failover" or "Exclusive"');
  if (exclusive && subscriptionType !== "Exclusive")
    throw invalidOption("subscribe", "native.subscriptionType", subscriptionType, '"Exclusive" where serial is true');
  requireCount("native.priorityLevel", priorityLevel ?? 0);
  requireCount("native.redeliveryDelay", redeliveryDelay);
  const query = new URLSearchParams({
    subscriptionType,
    subscriptionInitialPosition: backfill === true ? "Earliest" : "Latest",
    receiverQueueSize: String(Math.min(maxInFlight, maxQueue)),
    negativeAckRedeliveryDelay: String(redeliveryDelay),
  });
  if (priorityLevel !== undefined) query.set("priorityLevel", String(priorityLevel));
  if (deadLetterPolicy !== undefined) {
    requireCount("native.deadLetterPolicy.maxRedeliverCount", deadLetterPolicy.maxRedeliverCount, 1);
    query.set("maxRedeliverCount", String(deadLetterPolicy.maxRedeliverCount));
    query.set("deadLetterTopic", deadLetterPolicy.topic);
  }
  return query.toString();
}

function requireCount(option: string, given: number, least: number = 0): void {
  if (!(Number.isInteger(given) && given >= least)) throw invalidOption("subscribe", option, given, `a whole number from ${least}`);
}

function described({ stream, name }: SubscribeRequest<PulsarNative>): string {
  return `stream ${quote(stream)} under the name ${quote(name)}`;
}

function busy(request: SubscribeRequest<PulsarNative>, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_SUBSCRIPTION_BUSY", {
    message: `${described(request)} is subscribed to by others, alone or in another way; try again when they have gone`,
    retryable: true,
    cause,
  });
}

function notOpened(request: SubscribeRequest<PulsarNative>, cause: unknown): unknown {
  if (cause instanceof EventDriverError) return cause;
  const isFinal = cause instanceof RefusalError && cause.isFinal;
  return new EventDriverError(isFinal && cause.status === notFound ? "ERR_TOPOLOGY" : "ERR_CONNECTION_FAILED", {
    message: `${described(request)} was not subscribed to: ${isFinal ? "Pulsar has refused it" : "Pulsar does not answer"}; its cause says why`,
    retryable: !isFinal || cause.status === notFound,
    cause,
  });
}

function closedEarly(request: SubscribeRequest<PulsarNative>): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_CLOSED", {
    message: `${described(request)} was not subscribed to: the connection was closed; another process may do it`,
    retryable: true,
  });
}

function notForgotten(request: SubscribeRequest<PulsarNative>): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_FAILED", {
    message: `${described(request)} has left and its position may still be there, for Pulsar has not answered; remove it there, or subscribe and unsubscribe again`,
    retryable: true,
  });
}

function lost(request: SubscribeRequest<PulsarNative>, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_DELIVERY_LOST", {
    message: `${described(request)} was cut off before the message was done; it is delivered again`,
    retryable: true,
    cause,
  });
}

function partitioned(stream: string): EventDriverError {
  return new EventDriverError("ERR_UNSUPPORTED", {
    message: `stream ${quote(stream)} has partitions, and a position is one of a single one; backfill by time instead`,
    retryable: false,
  });
}
