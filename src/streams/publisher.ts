import type { Message } from "../message.ts";
import type { Transport, TransportPublishOptions } from "./transport.ts";

import { ByName } from "./by-name.ts";
import { EventDriverError, isEventDriverError, quote } from "../errors.ts";

export interface PublisherOptions {
  readonly transport: Pick<Transport, "name" | "publish" | "keepsPublishOrder">;
  /** How many messages may wait for their answer, or to be sent. */
  readonly limit: number;
}

interface Lane {
  /** Settles when its last message has its answer; `undefined` when that has come. */
  last: Promise<void> | undefined;
}

/** Publishes one message of a key after another, and different keys side by side. Refuses what would make it hold more than it may. */
export class Publisher {
  readonly #options: PublisherOptions;
  /** By stream and key. */
  readonly #lanes = new ByName<Lane>({ make: () => ({ last: undefined }), isIdle: ({ last }) => last === undefined });
  readonly #whenIdle: (() => void)[] = [];
  #pending = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** How many have no answer yet. */
  get pending(): number {
    return this.#pending;
  }

  /** One function that waits: what each of several keeps for every message without an answer costs more than to send it. */
  async publish(stream: string, message: Message, options: TransportPublishOptions): Promise<string> {
    const { limit, transport } = this.#options;
    if (this.#pending >= limit) throw overloaded(transport.name, message.id, limit);
    this.#pending += 1;
    try {
      await (transport.keepsPublishOrder ? this.#send(stream, message, options) : this.#sendInLane(stream, message, options));
      return message.id;
    } catch (error) {
      const { signal } = options;
      if (isEventDriverError(error) || (signal?.aborted && error === signal.reason)) throw error;
      throw notPublished(transport.name, stream, message.id, error);
    } finally {
      this.#pending -= 1;
      if (this.#pending === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
    }
  }

  /** Resolves when every message has its answer. */
  idle(): Promise<void> {
    return this.#pending === 0 ? Promise.resolve() : new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  async #sendInLane(stream: string, message: Message, options: TransportPublishOptions): Promise<void> {
    const lane = this.#lanes.of(JSON.stringify([stream, message.key]));
    const before = lane.last;
    const sent = before === undefined ? this.#send(stream, message, options) : before.then(() => this.#send(stream, message, options));
    // A message that was refused does not stop those behind it: its caller knows.
    const answered = sent.catch(() => {});
    lane.last = answered;
    try {
      await sent;
    } finally {
      if (lane.last === answered) lane.last = undefined;
    }
  }

  #send(stream: string, message: Message, options: TransportPublishOptions): Promise<void> {
    options.signal?.throwIfAborted();
    return this.#options.transport.publish(stream, message, options);
  }
}

function overloaded(broker: string, id: string, limit: number): EventDriverError {
  return new EventDriverError("ERR_OVERLOADED", {
    message: `message ${quote(id)} was not published: ${limit} others wait for ${broker} already; try it again when it answers`,
    retryable: true,
  });
}

function notPublished(broker: string, stream: string, id: string, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_PUBLISH_FAILED", {
    message: `message ${quote(id)} was not published to stream ${quote(stream)}, or ${broker} did not say so; publish it again`,
    retryable: true,
    cause,
  });
}
