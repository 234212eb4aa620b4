import { compatibilityPartitioner, type CompressionAlgorithmValue, type MessageToProduce, type Producer } from "@platformatic/kafka";
import { type Clock, EventDriverError, isEventDriverError, quote, sleep } from "event-driver";

import type { Topology } from "./topology.ts";

import { closedError, isProtocolError } from "./failures.ts";

/** A record on its way to a topic. */
export interface OutgoingRecord {
  readonly key: Buffer | undefined;
  /** Absent for a tombstone. */
  readonly value: Buffer | undefined;
  readonly headers: Map<Buffer, Buffer>;
}

export interface RecordWriterOptions {
  readonly producer: { send(options: Parameters<Producer["send"]>[0]): Promise<unknown> };
  readonly topology: Pick<Topology, "require" | "forget">;
  readonly batchBytes: number;
  readonly compression: CompressionAlgorithmValue;
  readonly clock: Clock;
}

interface Waiting {
  readonly record: OutgoingRecord;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const pauseAfterError = 500;

/**
 * Writes records to topics, for each topic in the order of the calls: what comes while a request is under way goes together into the next one.
 *
 * Not more than one request of a topic is under way. The client can hold more, but then what is tried again overtakes what was sent before it.
 */
export class RecordWriter {
  readonly #options: RecordWriterOptions;
  readonly #queues = new Map<string, Set<Waiting>>();
  /** What was sent and is not answered. */
  readonly #sent = new Set<Waiting>();
  #isClosed = false;

  constructor(options: RecordWriterOptions) {
    this.#options = options;
  }

  /** Resolves when all replicas in sync have the record. */
  write(topic: string, record: OutgoingRecord, signal?: AbortSignal): Promise<void> {
    if (this.#isClosed) return Promise.reject(closedError("a message was not published"));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const queue = this.#queueOf(topic);
    const onAbort = (): void => {
      queue.delete(waiting);
      reject(signal?.reason);
    };
    const waiting: Waiting = { record, bytes: sizeOf(record), resolve, reject };
    queue.add(waiting);
    if (signal === undefined) return promise;
    signal.addEventListener("abort", onAbort, { once: true });
    return promise.finally(() => signal.removeEventListener("abort", onAbort));
  }

  /** What is not answered yet is rejected: it may have been written. */
  close(): void {
    this.#isClosed = true;
    for (const waiting of [...this.#queues.values(), this.#sent])
      rejectAll(waiting, closedError("a message was not published, or that was not confirmed"));
  }

  #queueOf(topic: string): Set<Waiting> {
    const known = this.#queues.get(topic);
    if (known !== undefined) return known;
    const queue = new Set<Waiting>();
    this.#queues.set(topic, queue);
    // Whatever is written in the same turn goes together.
    queueMicrotask(() => void this.#work(topic, queue));
    return queue;
  }

  /** Sends until nothing waits. Never rejects. */
  async #work(topic: string, queue: Set<Waiting>): Promise<void> {
    while (queue.size > 0) {
      const batch = this.#take(queue);
      try {
        await this.#isThere(topic);
        await this.#send(topic, batch);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        this.#options.topology.forget(topic);
        const failure = isProtocolError(error, ...tooLarge) ? messageTooLarge(topic, error) : error;
        for (const { reject } of batch) reject(failure);
      }
      for (const waiting of batch) this.#sent.delete(waiting);
    }
    this.#queues.delete(topic);
  }

  /** As with what is sent, a broker that is away is waited for. */
  async #isThere(topic: string): Promise<void> {
    const { topology, clock } = this.#options;
    while (!this.#isClosed) {
      try {
        await topology.require(topic);
        return;
      } catch (error) {
        if (!isEventDriverError(error) || error.code !== "ERR_CONNECTION_FAILED" || !error.retryable) throw error;
        await sleep(clock, pauseAfterError);
      }
    }
  }

  #take(queue: Set<Waiting>): readonly Waiting[] {
    const batch: Waiting[] = [];
    let bytes = 0;
    for (const waiting of queue) {
      bytes += waiting.bytes;
      if (batch.length > 0 && bytes > this.#options.batchBytes) break;
      batch.push(waiting);
      queue.delete(waiting);
      this.#sent.add(waiting);
    }
    return batch;
  }

  async #send(topic: string, batch: readonly Waiting[]): Promise<void> {
    const { producer, compression } = this.#options;
    await producer.send({
      messages: batch.map(({ record }) => toProduce(topic, record)),
      compression,
      partitioner: compatibilityPartitioner,
    });
  }
}

/** A record as the client takes it. */
export function toProduce(topic: string, { key, value, headers }: OutgoingRecord): MessageToProduce {
  return { topic, headers, ...(key !== undefined && { key }), ...(value !== undefined && { value }) };
}

function rejectAll(queue: Set<Waiting>, error: unknown): void {
  for (const { reject } of queue) reject(error);
  queue.clear();
}

function sizeOf({ key, value, headers }: OutgoingRecord): number {
  let bytes = 70 + (value?.length ?? 0) + (key?.length ?? 0);
  for (const [name, text] of headers) bytes += name.length + text.length + 4;
  return bytes;
}

const tooLarge = ["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"];

function messageTooLarge(topic: string, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_TOO_LARGE", {
    message: `topic ${quote(topic)} takes no records of this size; raise its max.message.bytes, or keep batchBytes below that`,
    retryable: false,
    cause,
  });
}
