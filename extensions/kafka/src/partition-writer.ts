import { type Clock, EventDriverError, quote, sleep } from "event-driver";

import type { ProducerIdentity, SizedRecord } from "./batch-encoder.ts";
import type { PartitionBatch } from "./produce-api.ts";
import type { ProduceClient } from "./produce-client.ts";

import { isAlreadyWritten, isOutOfSequence, isPassing } from "./failures.ts";

/** Records that are sent together, and again under the same numbers, until it is known what has become of them. */
export interface Batch extends PartitionBatch {
  /** Written, or not, and then why. */
  readonly settle: (failure?: unknown) => void;
}

export interface PartitionWriterOptions {
  readonly topic: string;
  readonly partition: number;
  readonly client: ProduceClient;
  readonly clock: Clock;
  /** Aborts when the connection closes. */
  readonly signal: AbortSignal;
}

/** Milliseconds. */
const pause = { first: 50, longest: 2_000 };

/**
 * For how many milliseconds a broker certainly remembers what an identity has written last. One that has forgotten it would take a second batch when the first
 * was refused. Brokers forget after `producer.id.expiration.ms`, a day.
 */
const remembered = 60_000;

/** The numbers of records begin anew behind the highest one. */
const highestSequence = 0x7fff_ffff;

/**
 * Keeps the batches of one partition in order, with several under way at a time.
 *
 * The broker knows each record by its number. It refuses what does not follow on what it has, so nothing overtakes a batch that failed; and it takes what it has
 * already as written, so that whatever has no answer is sent again under the same numbers, until it has one. When something has failed, the first batch is sent
 * alone, and the others behind it when it is known what has become of that: a broker remembers the last five batches, so that not more may overtake one.
 */
export class PartitionWriter {
  readonly #options: PartitionWriterOptions;
  /** In the order of their numbers. */
  #unanswered: Batch[] = [];
  /** How many of them are on their way. */
  #underWay = 0;
  /** Whether something is known of one of them, or of what was behind it, and not yet whether it was written itself. */
  #isBehind = false;
  #identity: ProducerIdentity | undefined;
  #nextSequence = 0;
  /** Until when the broker remembers the identity, in epoch milliseconds. */
  #isKnownUntil = 0;

  constructor(options: PartitionWriterOptions) {
    this.#options = options;
  }

  /** The next records. What is returned is to be sent, and answered for; nothing where they have to wait for those ahead of them. */
  add(records: readonly SizedRecord[], identity: ProducerIdentity, settle: Batch["settle"]): Batch | undefined {
    this.#identity ??= identity;
    const batch = this.#numbered({ partition: this.#options.partition, records, settle }, this.#identity);
    const isNext = !this.#isBehind && this.#unanswered.length === this.#underWay && (this.#underWay === 0 || this.#isKnown());
    this.#unanswered.push(batch);
    if (!isNext) return undefined;
    this.#underWay += 1;
    return batch;
  }

  /** What has become of a batch that was sent: written if `failure` is `undefined`. */
  answered(batch: Batch, failure: unknown): void {
    if (this.#options.signal.aborted) return;
    this.#underWay -= 1;
    const isFirst = batch === this.#unanswered[0];
    if (this.#judge(batch, failure) === "unknown" || !isFirst) this.#isBehind = true;
    if (this.#underWay > 0) return;
    if (this.#isBehind) void this.#catchUp();
    else this.#sendAll();
  }

  close(failure: unknown): void {
    for (const batch of this.#unanswered.splice(0)) batch.settle(failure);
  }

  #isKnown(): boolean {
    return this.#options.clock.now() < this.#isKnownUntil;
  }

  /** Settles a batch if it is known what has become of it. */
  #judge(batch: Batch, failure: unknown): Verdict {
    const isWritten = failure === undefined || isAlreadyWritten(failure);
    if (!isWritten && (isPassing(failure) || isOutOfSequence(failure))) return "unknown";
    if (isWritten) this.#isKnownUntil = this.#options.clock.now() + remembered;
    this.#unanswered = this.#unanswered.filter((each) => each !== batch);
    batch.settle(isWritten ? undefined : failure);
    return isWritten ? "written" : "refused";
  }

  #sendAll(): void {
    for (const batch of this.#unanswered) {
      this.#underWay += 1;
      void this.#send(batch, false).then((failure) => this.answered(batch, failure));
    }
  }

  /** Sends the first batch until it is written, or the one behind it where it is refused; then all others. Never rejects. */
  async #catchUp(): Promise<void> {
    let tries = 0;
    for (let [first] = this.#unanswered; first !== undefined; [first] = this.#unanswered) {
      const failure = await this.#send(first, true);
      if (this.#options.signal.aborted) return;
      const verdict = this.#judge(first, failure);
      if (verdict === "written") break;
      tries = verdict === "refused" ? 0 : tries + 1;
      if (verdict === "unknown") await this.#prepareFor(first, failure, tries);
    }
    this.#isBehind = false;
    this.#sendAll();
  }

  /** What has to be before a batch is tried again. */
  async #prepareFor(batch: Batch, failure: unknown, tries: number): Promise<void> {
    const { clock, signal } = this.#options;
    if (isOutOfSequence(failure)) {
      const problem = await this.#renumber();
      if (problem === undefined && tries === 1) return;
      if (problem !== undefined && this.#judge(batch, problem) === "refused") return;
    }
    await sleep(clock, Math.min(pause.longest, pause.first * 2 ** tries), signal).catch(() => {});
  }

  /** The broker waits for something that will never come, or does not know us: the numbers begin anew. Returns what went wrong, or nothing. */
  async #renumber(): Promise<unknown> {
    try {
      const identity = await this.#options.client.newIdentity();
      this.#identity = identity;
      this.#isKnownUntil = 0;
      this.#nextSequence = 0;
      this.#unanswered = this.#unanswered.map((batch) => this.#numbered(batch, identity));
      return undefined;
    } catch (error) {
      return error;
    }
  }

  #numbered(batch: Omit<Batch, "identity" | "firstSequence">, identity: ProducerIdentity): Batch {
    const firstSequence = this.#nextSequence;
    this.#nextSequence = (firstSequence + batch.records.length) & highestSequence;
    return { ...batch, identity, firstSequence };
  }

  /** What went wrong, or nothing. Never rejects. */
  async #send(batch: Batch, isFresh: boolean): Promise<unknown> {
    const { topic, partition, client } = this.#options;
    try {
      const { partitionCount, leaderOf } = await client.leaders(topic, { isFresh });
      if (partition >= partitionCount) return partitionGone(topic, partition);
      return (await client.produce(leaderOf(partition), topic, [batch])).get(partition);
    } catch (error) {
      return error;
    }
  }
}

/** What is known of a batch. */
type Verdict = "written" | "refused" | "unknown";

function partitionGone(topic: string, partition: number): EventDriverError {
  return new EventDriverError("ERR_TOPOLOGY", {
    message: `topic ${quote(topic)} has no partition ${partition} any more; publish again, and it goes to another`,
    retryable: true,
  });
}
