import type { Binding } from "@event-driver/cloudevents/bindings";
import type { SubscribeRequest, Sink, TransportListener, TransportSubscription } from "event-driver/streams";

import { createInbox, type Msg, nanos, type Subscription } from "@nats-io/transport-node";
import { type Clock, EventDriverError, type Logger, quote, sleep } from "event-driver";

import type { Budget, Spender } from "./budget.ts";
import type { Link } from "./link.ts";
import type { Tenure } from "./partitions/tenure.ts";
import type { Position } from "./positions.ts";
import type { Topology } from "./topology.ts";

import { ackPrefix, deliveryInfo, Flight, Flights } from "./deliveries.ts";
import { headersOf } from "./message-headers.ts";
import { defaultAckWait, type NatsNative } from "./options.ts";
import { notAcknowledged, Settler } from "./settler.ts";

/** Who shares a position. */
export interface Membership {
  /** Why it is no longer ours, if it is not. */
  check(): Promise<EventDriverError | undefined>;
  leave(): void;
  /** Whether there are no others, for one that has left. */
  isDeserted(): Promise<boolean>;
}

export interface PullerOptions {
  readonly request: SubscribeRequest<NatsNative>;
  readonly position: Position;
  readonly sink: Sink;
  readonly binding: Binding;
  readonly link: Link;
  readonly topology: Topology;
  readonly membership: Membership;
  readonly budget: Budget;
  /** Only of a partition. */
  readonly tenure?: Tenure;
  readonly apiPrefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tellLag: TransportListener["lag"];
  readonly onEnded: () => void;
}

/** Milliseconds for which one request for messages stands. */
const requestExpires = 30_000;
/** The same where others wait for their turn to ask. */
const turnExpires = 500;
/** Milliseconds between two signs of life while no message comes. */
const heartbeat = 5_000;
/** Milliseconds between two words on how far behind a position is. */
const lagEvery = 1_000;

/**
 * Takes messages of a position: asks for as many as may be unsettled, and again for as many as were settled.
 *
 * It asks by itself, not by the client's `consume`: that one asks anew for what it has handed over, settled or not, so that nothing bounds what is unsettled.
 */
export class Puller implements TransportSubscription, Spender {
  readonly #options: PullerOptions;
  readonly #ackWait: number;
  readonly #flights: Flights;
  readonly #settler: Settler;
  readonly #stopListening: () => void;
  #inbox: Subscription | undefined;
  /** How many messages were asked for and have not come. */
  #asked = 0;
  #isRefilling = false;
  #isRenewing = false;
  readonly #stopped = new AbortController();
  /** The last message that came, as a position in the stream. */
  #last = 0;
  #heardAt = 0;
  #lagToldAt = 0;
  #cancelHeartbeat: (() => void) | undefined;
  #stopping: Promise<void> | undefined;
  #leaving: Promise<void> | undefined;
  readonly #whenIdle: (() => void)[] = [];

  constructor(options: PullerOptions) {
    const { request, link, clock, budget, tenure } = options;
    this.#options = options;
    this.#ackWait = request.ackWait ?? defaultAckWait;
    this.#flights = new Flights({ clock, ackWait: this.#ackWait, onLanded: () => this.#onLanded() });
    this.#settler = new Settler({ link, clock, flights: this.#flights, tenure });
    this.#stopListening = link.listen({ onUp: () => void this.#renew() });
    budget.join(this);
    if (tenure === undefined) this.#begin();
    else void this.#renew();
  }

  get spent(): number {
    return this.#flights.size + this.#asked;
  }

  get isReady(): boolean {
    return !this.#isStopped && !this.#isRenewing && this.#options.link.isUp;
  }

  get #isStopped(): boolean {
    return this.#stopped.signal.aborted;
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  close(): Promise<void> {
    return (this.#leaving ??= this.#leave(this.#options.position.isTransient));
  }

  forget(): Promise<void> {
    return (this.#leaving ??= this.#leave(true));
  }

  /** Resolves when everything that was handed over is settled. */
  idle(): Promise<void> {
    return this.#flights.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  /** Leaves at once and without a word to the broker: what was handed over may be somebody else's by now. */
  abandon(why: string): void {
    void this.stop();
    for (const flight of this.#flights.clear()) flight.lose(why);
    this.#options.budget.leave(this);
    this.#options.onEnded();
  }

  rebudget(): void {
    const hasTooMuch = this.#asked > 0 && this.spent > this.#options.budget.shareOf(this);
    if (hasTooMuch) void this.#renew();
    else this.#refillSoon();
  }

  #begin(): void {
    const { link, logger, sink, request, clock } = this.#options;
    const subject = createInbox();
    this.#asked = 0;
    this.#heardAt = clock.now();
    this.#inbox = link.client.subscribe(subject, {
      callback: (error, msg) => {
        this.#heardAt = clock.now();
        if (error !== null) {
          logger.error({ stream: request.stream, name: request.name, err: error }, "no messages can be received");
          sink.lost(error);
        } else if (msg.reply?.startsWith(ackPrefix)) this.#onMessage(msg, msg.reply);
        else this.#onStatus(msg);
      },
    });
    this.#cancelHeartbeat?.();
    this.#watchHeartbeat();
    this.#refillSoon();
  }

  #onMessage(msg: Msg, reply: string): void {
    const { link, binding, sink, request, clock, tenure } = this.#options;
    this.#asked = Math.max(0, this.#asked - 1);
    // What is not ours any more is somebody else's to give back.
    if (!this.#isOurs) return;
    if (this.#isStopped) return link.client.publish(reply, notAcknowledged);
    const info = deliveryInfo(reply);
    if (tenure?.isNext(info.delivery) === false) return void this.#renew();
    const record = binding.read({ headers: headersOf(msg), body: msg.data }, { stream: request.stream, position: String(info.sequence) });
    const endsAt = clock.now() + this.#ackWait;
    const flight = new Flight(record, { reply, info, endsAt, partition: tenure?.partition, settling: this.#settler });
    this.#last = Math.max(this.#last, info.sequence);
    this.#flights.add(flight);
    this.#tellLag(info.pending);
    flight.handover = sink.deliver(flight);
    this.#refillSoon();
  }

  get #isOurs(): boolean {
    const { tenure, clock } = this.#options;
    return tenure === undefined || clock.now() < tenure.endsAt;
  }

  #onLanded(): void {
    this.#refillSoon();
    this.#options.budget.freed(this);
    if (this.#flights.size === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #onStatus(msg: Msg): void {
    const code = msg.headers?.code ?? 0;
    if (code === 100) return;
    const left = Number(msg.headers?.get("Nats-Pending-Messages") ?? 0);
    this.#asked = Math.max(0, this.#asked - left);
    if (this.#isStopped) return;
    this.#options.budget.freed(this);
    // The request has expired, or has had all it asked for.
    if (code === 404 || code === 408) return this.#refillSoon();
    const { logger, request } = this.#options;
    logger.info(
      { stream: request.stream, name: request.name, code, text: msg.headers?.description },
      "NATS has ended a request for messages",
    );
    void this.#renew();
  }

  /** Once for all that is settled while one piece of what comes is read, and not for a few while many are on their way. */
  #refillSoon(): void {
    if (this.#isRefilling) return;
    this.#isRefilling = true;
    process.nextTick(() => {
      this.#isRefilling = false;
      this.#refill();
    });
  }

  #refill(): void {
    const { position, link, budget, apiPrefix } = this.#options;
    if (!this.isReady) return;
    const room = budget.roomFor(this);
    const isWorthIt = room > 0 && (this.#asked === 0 || room >= budget.shareOf(this) / 2);
    if (!isWorthIt) return;
    this.#asked += room;
    budget.asked(this);
    const expires = this.#requestExpires();
    const body = JSON.stringify({
      batch: room,
      expires: nanos(expires),
      idle_heartbeat: nanos(Math.min(heartbeat, Math.floor(expires / 3))),
    });
    link.client.publish(`${apiPrefix}.CONSUMER.MSG.NEXT.${position.place.name}.${position.name}`, body, {
      reply: this.#inbox?.getSubject() ?? "",
    });
  }

  /** Milliseconds. A request for what is a partition must not outlive the time for which that is ours. */
  #requestExpires(): number {
    const { budget, tenure, clock } = this.#options;
    if (budget.isCrowded) return turnExpires;
    return tenure === undefined ? requestExpires : Math.max(turnExpires, Math.min(requestExpires, tenure.endsAt - clock.now()));
  }

  /** Begins anew with another inbox: what was asked for over the old one cannot be known any more. */
  async #renew(): Promise<void> {
    if (this.#isRenewing || this.#isStopped) return;
    this.#isRenewing = true;
    const { link, clock, logger, request } = this.#options;
    const { stream, name } = request;
    if (this.#inbox !== undefined) await link.drain(this.#inbox);
    for (let attempt = 0; !this.#isStopped; attempt += 1) {
      try {
        if (attempt > 0) await sleep(clock, Math.min(25 * 2 ** attempt, 2_000), this.#stopped.signal);
        await link.up();
        if (!(await this.#isStillOurs())) return;
        break;
      } catch (error) {
        if (link.isClosed || this.#isStopped) return;
        logger.warn({ stream, name, err: error }, "a subscription cannot go on yet; it is tried again");
      }
    }
    this.#isRenewing = false;
    if (!this.#isStopped) this.#begin();
  }

  /** Looks whether there is a position, and nobody else has it for himself. */
  async #isStillOurs(): Promise<boolean> {
    const { topology, membership, position, request, tenure } = this.#options;
    const busy = await membership.check();
    if (busy !== undefined) return this.#lose(busy);
    const info = await topology.info(position.place, position.name);
    if (info === undefined && !position.isTransient) return this.#lose(gone(request));
    // It has ended while nobody asked for messages; what it would have given is still in the stream.
    if (info === undefined) await topology.remake(position, this.#last === 0 ? undefined : Math.min(this.#last + 1, this.#flights.first));
    await tenure?.recover(info, this.#flights.positions);
    return true;
  }

  #lose(error: EventDriverError): false {
    this.#options.membership.leave();
    this.#stopped.abort();
    this.#options.sink.lost(error);
    return false;
  }

  #watchHeartbeat(): void {
    const { clock, link } = this.#options;
    this.#cancelHeartbeat = clock.after(2 * heartbeat, () => {
      const isSilent = this.#asked > 0 && clock.now() - this.#heardAt >= 2 * heartbeat;
      if (isSilent && link.isUp) void this.#renew();
      else this.#watchHeartbeat();
    });
  }

  #tellLag(messages: number): void {
    const { clock, request, tellLag } = this.#options;
    if (clock.now() - this.#lagToldAt < lagEvery) return;
    this.#lagToldAt = clock.now();
    tellLag({ stream: request.stream, name: request.name, messages });
  }

  async #stop(): Promise<void> {
    this.#stopped.abort();
    this.#cancelHeartbeat?.();
    this.#stopListening();
    if (this.#inbox !== undefined) await this.#options.link.drain(this.#inbox);
  }

  async #leave(isForgotten: boolean): Promise<void> {
    const { link, membership, topology, position, budget, onEnded } = this.#options;
    await this.stop();
    for (const flight of this.#flights.clear()) {
      if (link.isUp) link.client.publish(flight.reply, notAcknowledged);
      flight.lose("its subscription has left");
    }
    membership.leave();
    budget.leave(this);
    onEnded();
    if (isForgotten && link.isUp && (await membership.isDeserted())) await topology.remove(position.place, position.name);
    else await link.farewell();
  }
}

function gone({ stream, name }: SubscribeRequest<NatsNative>): EventDriverError {
  return new EventDriverError("ERR_DELIVERY_LOST", {
    message: `the position of name ${quote(name)} of stream ${quote(stream)} was removed at the broker; subscribe again to begin a new one`,
    retryable: true,
  });
}
