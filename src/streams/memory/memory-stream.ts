import type { Clock } from "../../clock.ts";
import type { Message } from "../../message.ts";
import type { Backfill } from "../subscribe-options.ts";

import { invalidOption } from "../../errors.ts";

/** One message in a stream. */
export interface StreamRecord {
  readonly position: number;
  readonly message: Message;
  /** Epoch milliseconds. */
  readonly publishedAt: number;
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/** Who reads a log. */
export interface StreamReader {
  /** The first position it is not done with. */
  readonly firstNeeded: number;
  /** There is more to read. */
  wake(): void;
}

/** A log. What every reader has done with, and is not kept as history, is removed. */
export class MemoryStream {
  readonly readers: Set<StreamReader> = new Set();
  readonly #clock: Clock;
  readonly #history: number;
  #records: StreamRecord[] = [];
  /** The position of the first record. */
  #first = 0;
  /** How many messages came or were settled since it was last looked what can be removed. */
  #changes = 0;

  constructor(clock: Clock, history: number) {
    this.#clock = clock;
    this.#history = history;
  }

  get size(): number {
    return this.#records.length;
  }

  /** The position of the next message. */
  get end(): number {
    return this.#first + this.#records.length;
  }

  append(message: Message, expiresAfter: number = Infinity): void {
    const now = this.#clock.now();
    this.#records.push({ position: this.end, message: copied(message), publishedAt: now, expiresAt: now + expiresAfter });
    this.#trim();
    for (const reader of this.readers) reader.wake();
  }

  /** A reader has done with a message. */
  settled(): void {
    this.#trim();
  }

  /** The first record from a position on that is still there. */
  from(position: number): StreamRecord | undefined {
    return this.#records[Math.max(position, this.#first) - this.#first];
  }

  /** @throws EventDriverError `ERR_INVALID_OPTION` */
  positionOf(backfill: Backfill): number {
    if (backfill === true) return this.#first;
    if (backfill === false) return this.end;
    if (backfill instanceof Date) {
      const since = backfill.getTime();
      return this.#records.find(({ publishedAt }) => publishedAt >= since)?.position ?? this.end;
    }
    if (!/^\d{1,15}$/.test(backfill.position))
      throw invalidOption("subscribe", "backfill.position", backfill.position, "the position of a delivery of this stream");
    return Math.min(Number(backfill.position), this.end);
  }

  /** Now and then: what it looks at costs, and so does taking away the front of a long array. */
  #trim(): void {
    this.#changes += 1;
    if (this.#changes < Math.max(1_000, this.#records.length / 4)) return;
    this.#changes = 0;
    const needed = Math.min(this.end, ...Array.from(this.readers, (reader) => reader.firstNeeded));
    const removed = Math.min(this.#records.length - this.#history, needed - this.#first);
    if (removed <= 0) return;
    this.#records = this.#records.slice(removed);
    this.#first += removed;
  }
}

/** As over a wire: whoever published it may change his bytes. */
export function copied(message: Message): Message {
  const { content } = message;
  return typeof content === "string" ? message : { ...message, content: content.slice() };
}
