import type { Binding } from "@event-driver/cloudevents/bindings";
import type { Sink, SubscribeRequest, TransportSubscription } from "event-driver/streams";

import { EventDriverError } from "event-driver";
import { LinkedList } from "event-driver/streams";

import type { Admin } from "./admin.ts";
import type { PulsarNative, PulsarSettings } from "./options.ts";

import { busy, closedEarly, lost, notForgotten, notOpened, partitioned } from "./failures.ts";
import { type ReceivedText, PulsarInbound } from "./inbound.ts";
import { Link, type Presence } from "./link.ts";
import { RefusalError } from "./socket.ts";
import { pulsarName } from "./names.ts";
import { cursorOf, queryOf } from "./subscription-query.ts";

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
const conflict = 409;
const notFound = 404;

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
  /** What came over the socket that is open, and is not settled. */
  readonly #flights = new LinkedList<PulsarInbound>();
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
    this.#hasOpened = true;
    this.#opened.resolve();
    if (this.#onAnswer !== undefined) this.#sayUnsubscribe();
  }

  #onText(received: Received): void {
    if (received.messageId === undefined) return this.#onAnswer?.();
    if (this.#isStopped) return;
    const { binding, request, sink } = this.#options;
    const inbound = new PulsarInbound({
      received,
      stream: request.stream,
      binding,
      flights: this.#flights,
      ack: this.#ack,
      release: this.#release,
    });
    this.#flights.add(inbound);
    inbound.handover = sink.deliver(inbound);
  }

  #onDown(error: Error): void {
    const { request, settings } = this.#options;
    const reason = lost(request, error);
    for (const { handover } of this.#flights.clear()) handover?.revoke(reason);
    if (this.#leaving === undefined)
      settings.logger.warn({ stream: request.stream, name: request.name, err: error }, "a subscription has lost Pulsar");
  }

  #onFailure(error: unknown): boolean {
    const { request, settings, admin } = this.#options;
    const { logger, clock, connectTimeout } = settings;
    if (error instanceof RefusalError && error.status === notFound) admin.missTopic(this.topic);
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
