import type { Channel } from "rabbitmq-client";

import type { OutgoingRecord } from "./records.ts";

import { type Clock, EventDriverError, type Logger, quote, sleep } from "event-driver";
import { setImmediate } from "node:timers/promises";

import { closed, type Link } from "./link.ts";
import { isPassing } from "./topology.ts";

export interface PublisherOptions {
  readonly link: Link;
  readonly servers: string;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Where records go, and what has to be there before. */
export interface Destination {
  /** Equal for equal destinations. */
  readonly id: string;
  readonly exchange: string;
  /** Whether a record that no queue takes was not published. */
  readonly mandatory: boolean;
  /** Milliseconds after which it is prepared again; `undefined` where once is enough. */
  readonly lasts?: number;
  readonly prepare: (link: Link) => Promise<unknown>;
}

interface Lane {
  readonly destination: Destination;
  readonly waiting: Set<Pending>;
  /** Until when it is prepared, in epoch milliseconds. */
  preparedUntil: number;
  isPreparing: boolean;
}

interface Pending {
  readonly record: OutgoingRecord;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Milliseconds between two attempts at what has failed for now. */
const pause = 250;

/**
 * Publishes over one channel with confirms. Records of one destination go out in the order of the calls: at once where that is prepared, else when it is.
 *
 * While the broker is out of reach they wait. What was sent and not confirmed when the connection broke is rejected: the broker may have it or not.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #lanes = new Map<string, Lane>();
  /** What the broker gave back because no queue took it, until its confirm has come. */
  readonly #returned = new Set<string>();
  #channel: Channel | undefined;
  #isOpening = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Resolves when the broker has the record. */
  publish(destination: Destination, record: OutgoingRecord, signal?: AbortSignal): Promise<void> {
    const { link, servers } = this.#options;
    if (link.isClosed) return Promise.reject(closed(servers));
    const lane = this.#laneOf(destination);
    if (this.#channel === undefined || !this.#isPrepared(lane) || lane.waiting.size > 0) return this.#wait(lane, record, signal);
    const sent = this.#send(this.#channel, destination, record);
    return signal === undefined ? sent : untilAborted(sent, signal);
  }

  /** Rejects what waits, and what was sent and is not confirmed. */
  close(): void {
    this.#refuseAll(closed(this.#options.servers));
    void this.#channel?.close();
  }

  #wait(lane: Lane, record: OutgoingRecord, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        lane.waiting.delete(pending);
        reject(signal?.reason);
      };
      const unlisten = (): void => signal?.removeEventListener("abort", onAbort);
      const pending: Pending = {
        record,
        resolve: () => (unlisten(), resolve()),
        reject: (error) => (unlisten(), reject(error)),
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      lane.waiting.add(pending);
      this.#advance(lane);
    });
  }

  #laneOf(destination: Destination): Lane {
    const known = this.#lanes.get(destination.id);
    if (known !== undefined) return known;
    const lane: Lane = { destination, waiting: new Set(), preparedUntil: 0, isPreparing: false };
    this.#lanes.set(destination.id, lane);
    return lane;
  }

  #isPrepared({ preparedUntil }: Lane): boolean {
    return preparedUntil === Infinity || preparedUntil > this.#options.clock.now();
  }

  /** Does what is next for records that wait: a channel, what their destination needs, sending them. */
  #advance(lane: Lane): void {
    if (lane.waiting.size === 0) return;
    if (this.#channel === undefined) void this.#open();
    else if (!this.#isPrepared(lane)) void this.#prepare(lane);
    else this.#flush(this.#channel, lane);
  }

  async #open(): Promise<void> {
    if (this.#isOpening) return;
    this.#isOpening = true;
    try {
      const channel = await this.#untilDone("a channel to publish was not opened", () => this.#confirming());
      if (channel !== undefined) this.#use(channel);
      else this.#refuseAll(closed(this.#options.servers));
    } catch (error) {
      this.#refuseAll(error);
    } finally {
      this.#isOpening = false;
    }
    for (const lane of this.#lanes.values()) this.#advance(lane);
  }

  async #confirming(): Promise<Channel> {
    const channel = await this.#options.link.channel();
    channel.on("basic.return", ({ messageId = "" }) => this.#returned.add(messageId));
    await channel.confirmSelect();
    return channel;
  }

  #use(channel: Channel): void {
    if (!channel.active) return;
    this.#channel = channel;
    channel.once("close", () => this.#onClosed());
  }

  #onClosed(): void {
    this.#channel = undefined;
    this.#returned.clear();
    // What was there may be gone: the broker may have lost it, or be another one.
    for (const lane of this.#lanes.values()) lane.preparedUntil = 0;
    for (const lane of this.#lanes.values()) this.#advance(lane);
  }

  async #prepare(lane: Lane): Promise<void> {
    if (lane.isPreparing) return;
    lane.isPreparing = true;
    const { link, servers, clock } = this.#options;
    const { prepare, lasts = Infinity } = lane.destination;
    try {
      const done = await this.#untilDone("what is published to was not looked for", async () => {
        const until = clock.now() + lasts;
        await prepare(link);
        return until;
      });
      if (done === undefined) return this.#refuse(lane, closed(servers));
      lane.preparedUntil = done;
    } catch (error) {
      return this.#refuse(lane, error);
    } finally {
      lane.isPreparing = false;
    }
    this.#advance(lane);
  }

  /** Tries until it succeeds; `undefined` when the link was closed. Throws what trying again would not mend. */
  async #untilDone<Result>(what: string, attempt: () => Promise<Result>): Promise<Result | undefined> {
    const { link, servers, logger, clock } = this.#options;
    while (!link.isClosed) {
      try {
        return await attempt();
      } catch (error) {
        if (link.isClosed) return undefined;
        if (!isPassing(error)) throw error;
        logger.warn({ servers, err: error }, what);
        // Closing ends the pause, and the loop with it.
        await sleep(clock, pause, link.closing).catch(() => {});
      }
    }
    return undefined;
  }

  #flush(channel: Channel, lane: Lane): void {
    const waiting = [...lane.waiting];
    lane.waiting.clear();
    for (const { record, resolve, reject } of waiting) this.#send(channel, lane.destination, record).then(resolve, reject);
  }

  #send(channel: Channel, destination: Destination, { envelope, body }: OutgoingRecord): Promise<void> {
    const { exchange, mandatory } = destination;
    this.#options.link.cork();
    const confirmed = channel.basicPublish({ ...envelope, exchange, mandatory }, body);
    if (!mandatory) return confirmed;
    const { messageId = "" } = envelope;
    return confirmed.then(() => this.#requireRouted(messageId, destination));
  }

  /** The client tells of a record that came back later than of the confirm behind it, but in the same turn. */
  async #requireRouted(messageId: string, { id }: Destination): Promise<void> {
    await setImmediate();
    if (!this.#returned.delete(messageId)) return;
    const lane = this.#lanes.get(id);
    if (lane !== undefined) lane.preparedUntil = 0;
    throw new EventDriverError("ERR_PUBLISH_FAILED", {
      message: `RabbitMQ has no queue for what is published to ${quote(id)}; subscribe to it first`,
      retryable: true,
    });
  }

  #refuseAll(error: unknown): void {
    for (const lane of this.#lanes.values()) this.#refuse(lane, error);
  }

  #refuse(lane: Lane, error: unknown): void {
    const waiting = [...lane.waiting];
    lane.waiting.clear();
    for (const { reject } of waiting) reject(error);
  }
}

/** What was sent is out of reach: whoever aborts only stops waiting for the answer. */
function untilAborted(sent: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    const unlisten = (): void => signal.removeEventListener("abort", onAbort);
    signal.addEventListener("abort", onAbort, { once: true });
    sent.then(resolve, reject).finally(unlisten);
  });
}
