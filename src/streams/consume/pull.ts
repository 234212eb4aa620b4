import type { Clock } from "../../clock.ts";
import type { Logger } from "../../context.ts";
import type { PullDelivery } from "../connection.ts";
import type { Emit } from "../emitter.ts";
import type { Handover, Inbound, Sink } from "../transport.ts";

import { EventDriverError, invalidOption } from "../../errors.ts";
import { endsWithin, goodbye } from "../ends-within.ts";
import { LinkedList } from "../linked-list.ts";
import { AckWaits } from "./ack-waits.ts";
import { Job } from "./job.ts";

export interface PullQueueOptions {
  readonly stream: string;
  readonly name: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly emit: Emit;
  /** Milliseconds; `undefined` where nothing is to be extended. */
  readonly extendEvery: number | undefined;
}

/** Keeps what a transport delivers until a loop takes it. What waits here is extended; what the loop has is the loop's to extend. */
export class PullQueue implements Sink, AsyncIterable<PullDelivery> {
  readonly #options: PullQueueOptions;
  readonly #waiting: Job[] = [];
  readonly #taken = new LinkedList<Job>();
  readonly #takers: ((result: IteratorResult<PullDelivery, undefined>) => void)[] = [];
  readonly #whenIdle: (() => void)[] = [];
  readonly #ackWaits: AckWaits | undefined;
  #isClosed = false;

  constructor(options: PullQueueOptions) {
    const { stream, name, clock, logger, extendEvery } = options;
    this.#options = options;
    if (extendEvery !== undefined) {
      this.#ackWaits = new AckWaits({
        every: extendEvery,
        clock,
        unsettled: () => this.#waiting,
        onError: ({ message, position }, error) =>
          logger.warn({ stream, name, id: message.id, position, err: error }, "the ack wait of a message was not extended"),
      });
    }
  }

  get inFlight(): number {
    return this.#waiting.length + this.#taken.size;
  }

  deliver(inbound: Inbound): Handover {
    const job = new Job(inbound, this.#options.stream, this.#drop);
    const taker = this.#takers.shift();
    if (taker === undefined) {
      this.#waiting.push(job);
      if (inbound.extend !== undefined) this.#ackWaits?.watch();
    } else taker({ done: false, value: this.#take(job) });
    return job;
  }

  lost(error: unknown): void {
    const { stream, name, logger, emit } = this.#options;
    logger.error({ stream, name, err: error }, "the broker ended a subscription");
    emit("lost", { stream, name, error });
    this.#endLoops();
  }

  [Symbol.asyncIterator](): AsyncIterator<PullDelivery, undefined> {
    return { next: () => this.#next() };
  }

  /** Ends the loops, gives back what none of them has, and waits for what they have: not longer than `limit` milliseconds. */
  async drain(limit: number): Promise<void> {
    const { clock } = this.#options;
    this.#endLoops();
    this.#ackWaits?.stop();
    await endsWithin(clock, goodbye, this.#giveBackAll(this.#waiting.splice(0)));
    await endsWithin(clock, limit, this.#settled());
    const taken = [...this.#taken];
    for (const job of taken) job.interrupt.abort(closedOver());
    await endsWithin(clock, goodbye, this.#giveBackAll(taken));
  }

  #settled(): Promise<void> {
    return this.#taken.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  async #next(): Promise<IteratorResult<PullDelivery, undefined>> {
    const job = this.#waiting.shift();
    if (this.#waiting.length === 0) this.#ackWaits?.stop();
    if (job !== undefined) return { done: false, value: this.#take(job) };
    if (this.#isClosed) return { done: true, value: undefined };
    return new Promise((resolve) => this.#takers.push(resolve));
  }

  #take(job: Job): PullDelivery {
    const { inbound } = job;
    this.#taken.add(job);
    return {
      ...job.delivery(),
      ...(inbound.failure !== undefined && { failure: inbound.failure }),
      signal: job.interrupt.signal,
      ack: () => this.#settle(job, () => inbound.ack()),
      nack: async ({ delay = 0 } = {}) => {
        if (!(delay >= 0)) throw invalidOption("nack", "delay", delay, "milliseconds from 0");
        await this.#settle(job, () => inbound.release({ delay }));
      },
      extend: async () => {
        if (!job.isGone) await inbound.extend?.();
      },
    };
  }

  /** The first word on a delivery counts. When the broker could not be told, it may be said again. */
  async #settle(job: Job, tell: () => Promise<void>): Promise<void> {
    if (!job.isGone) await tell();
    this.#forget(job);
  }

  /** One after another, so that they come to the broker in their order. */
  async #giveBackAll(jobs: readonly Job[]): Promise<void> {
    for (const job of jobs) await this.#giveBack(job);
  }

  async #giveBack(job: Job): Promise<void> {
    const { stream, name, logger } = this.#options;
    try {
      if (!job.isGone) await job.inbound.release({ delay: 0 });
    } catch (error) {
      logger.warn({ stream, name, id: job.inbound.message.id, err: error }, "a message was not given back");
    }
    this.#forget(job);
  }

  /** It is no longer ours, so nobody has to settle it. */
  readonly #drop = (job: Job): void => {
    const place = this.#waiting.indexOf(job);
    if (place !== -1) this.#waiting.splice(place, 1);
    if (this.#waiting.length === 0) this.#ackWaits?.stop();
    this.#forget(job);
  };

  #forget(job: Job): void {
    job.end();
    this.#taken.delete(job);
    if (this.#taken.size === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  #endLoops(): void {
    this.#isClosed = true;
    for (const taker of this.#takers.splice(0)) taker({ done: true, value: undefined });
  }
}

function closedOver(): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_CLOSED", {
    message: "the subscription was closed before the delivery was settled; it is delivered again",
    retryable: true,
  });
}
