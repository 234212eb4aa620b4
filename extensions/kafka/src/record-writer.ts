import type { ProducerIdentity } from "./batch-encoder.ts";

import { closedError } from "./failures.ts";
import { type OutgoingRecord, sizeOfRecord } from "./outgoing-record.ts";
import { TopicWriter, type TopicWriterOptions, type WaitingRecord } from "./topic-writer.ts";

export type RecordWriterOptions = Omit<TopicWriterOptions, "identity" | "signal">;

/** Writes records to topics, each key of a topic in the order of the calls. */
export class RecordWriter {
  readonly #options: TopicWriterOptions;
  readonly #topics = new Map<string, TopicWriter>();
  readonly #closed = new AbortController();
  #identity: Promise<ProducerIdentity> | undefined;

  constructor(options: RecordWriterOptions) {
    this.#options = { ...options, identity: () => this.#oneIdentity(), signal: this.#closed.signal };
  }

  /** Resolves when all replicas in sync have the record. */
  write(topic: string, record: OutgoingRecord, signal?: AbortSignal): Promise<void> {
    if (this.#closed.signal.aborted) return Promise.reject(closedError("a message was not published"));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting: WaitingRecord = { record, size: sizeOfRecord(record), resolve, reject };
    const writer = this.#topic(topic);
    writer.add(waiting);
    if (signal === undefined) return promise;
    const onAbort = (): void => {
      writer.remove(waiting);
      reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    return promise.finally(() => signal.removeEventListener("abort", onAbort));
  }

  /** What is not answered yet is rejected: it may have been written. */
  close(): void {
    const failure = closedError("a message was not published, or that was not confirmed");
    this.#closed.abort(failure);
    for (const writer of this.#topics.values()) writer.close(failure);
  }

  #topic(topic: string): TopicWriter {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const writer = new TopicWriter(topic, this.#options);
    this.#topics.set(topic, writer);
    return writer;
  }

  /** The same for all, as long as nobody needs another. */
  #oneIdentity(): Promise<ProducerIdentity> {
    this.#identity ??= this.#options.client.newIdentity().catch((error: unknown) => {
      this.#identity = undefined;
      throw error;
    });
    return this.#identity;
  }
}
