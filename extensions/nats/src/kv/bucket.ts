import type { Clock, Logger } from "event-driver";

import {
  type ApiError,
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  RetentionPolicy,
  type StoredMsg,
} from "@nats-io/jetstream";
import { headers, type MsgHdrs, nanos } from "@nats-io/transport-node";
import { EventDriverError, isEventDriverError, quote } from "event-driver";
import { randomUUID } from "node:crypto";

import type { Link } from "../link.ts";

import { Outbox } from "../outbox.ts";

export interface BucketOptions {
  readonly link: Link;
  readonly manager: JetStreamManager;
  readonly name: string;
  readonly topology: "create" | "check";
  readonly replicas: number;
  readonly storage: "file" | "memory";
  /** Milliseconds for one operation. */
  readonly timeout: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What is written. */
export interface Put {
  /** Of the message, for errors. */
  readonly id: string;
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: Uint8Array;
  /** Only over this revision, 0 for none. */
  readonly over: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** What JetStream says when a subject is not at the revision that was expected: for any other, and where it cannot say which it is. */
const notExpected: readonly number[] = [JetStreamApiCodes.StreamWrongLastSequence, JetStreamApiCodes.StreamWrongLastSequenceUnknown];
/** When the message that is to be deleted is not there. */
const notThere: readonly number[] = [JetStreamApiCodes.NoMessageFound, 10043, 10057];

/** A bucket of NATS KV: the last message of each subject of a stream. All that is read comes from the stream's leader, so nothing older is ever seen. */
export class Bucket {
  readonly #options: BucketOptions;
  readonly #stream: string;
  readonly #outbox: Outbox;

  constructor(options: BucketOptions) {
    const { link, name, timeout, clock, logger } = options;
    this.#options = options;
    this.#stream = `KV_${name}`;
    this.#outbox = new Outbox({ link, prepare: () => this.ensure(), clock, logger, timeout });
  }

  /** @throws EventDriverError `ERR_STORE_FAILED` when it is missing and may not be made, or cannot be used */
  async ensure(): Promise<void> {
    const { manager, name, topology, replicas, storage } = this.#options;
    const found = await this.#find([JetStreamApiCodes.StreamNotFound], () => manager.streams.info(this.#stream));
    if (found === undefined && topology === "check") throw unusable(name, 'is missing, and topology is "check"; make it at the broker');
    const info =
      found ??
      (await this.#ask(() =>
        manager.streams.add({
          name: this.#stream,
          subjects: [`$KV.${name}.>`],
          retention: RetentionPolicy.Limits,
          storage,
          num_replicas: replicas,
          max_msgs_per_subject: 1,
          duplicate_window: nanos(120_000),
          allow_rollup_hdrs: true,
          allow_msg_ttl: true,
          // A follower may answer with what is no longer so.
          allow_direct: false,
          // Entries are deleted one by one, without a mark that would stay.
          deny_delete: false,
        }),
      ));
    const { max_msgs_per_subject, allow_msg_ttl, deny_delete } = info.config;
    if (max_msgs_per_subject !== 1 || deny_delete || !allow_msg_ttl)
      throw unusable(
        name,
        "was made otherwise: it needs a history of 1, allow_msg_ttl, and no deny_delete; name another one, which is then made",
      );
  }

  /** The new revision, or `undefined` when the subject is not at the one that is expected. */
  async put({ id, subject, headers: given, value, over, signal }: Put): Promise<number | undefined> {
    const all: Record<string, string[]> = { "Nats-Msg-Id": [randomUUID()] };
    if (over !== undefined) all["Nats-Expected-Last-Subject-Sequence"] = [String(over)];
    for (const [name, text] of Object.entries(given)) all[name] = [text];
    try {
      return await this.#outbox.send(this.#stream, { id, subject, headers: all, body: value, signal });
    } catch (error) {
      if (codeOf(isEventDriverError(error) ? error.cause : undefined, notExpected)) return undefined;
      throw this.#failure(error);
    }
  }

  /** The last message of a subject. */
  async get(subject: string): Promise<StoredMsg | undefined> {
    const { manager } = this.#options;
    const found = await this.#find([JetStreamApiCodes.NoMessageFound], () =>
      manager.streams.getMessage(this.#stream, { last_by_subj: subject }),
    );
    return found ?? undefined;
  }

  /** Whether it was there. */
  async delete(revision: number): Promise<boolean> {
    const { manager } = this.#options;
    return (await this.#find(notThere, () => manager.streams.deleteMessage(this.#stream, revision, false))) === true;
  }

  /** The subjects that match and have a message, in one order. */
  async subjects(filter: string): Promise<readonly string[]> {
    const { manager } = this.#options;
    const info = await this.#ask(() => manager.streams.info(this.#stream, { subjects_filter: filter }));
    return Object.keys(info.state.subjects ?? {}).toSorted((one, other) => (one < other ? -1 : 1));
  }

  /** The headers of the last message of every subject that matches. */
  async heads(filter: string): Promise<readonly { readonly subject: string; readonly headers: MsgHdrs }[]> {
    const { manager } = this.#options;
    const last = new Map<string, MsgHdrs>();
    await this.#ask(async () => {
      const made = await manager.consumers.add(this.#stream, {
        name: randomUUID(),
        filter_subject: filter,
        deliver_policy: "last_per_subject",
        ack_policy: "none",
        headers_only: true,
        mem_storage: true,
        num_replicas: 1,
        inactive_threshold: nanos(30_000),
      });
      try {
        const consumer = await manager.jetstream().consumers.get(this.#stream, made.name);
        for (let left = made.num_pending; left > 0;) {
          const before = left;
          for await (const { subject, headers: each, info } of await consumer.fetch({
            max_messages: Math.min(left, 1_000),
            expires: 5_000,
          })) {
            last.set(subject, each ?? headers());
            left = info.pending;
          }
          // What was left has been removed meanwhile, or does not come: the broker knows.
          if (left === before) left = (await manager.consumers.info(this.#stream, made.name)).num_pending;
        }
      } finally {
        await manager.consumers.delete(this.#stream, made.name);
      }
    });
    return Array.from(last, ([subject, each]) => ({ subject, headers: each }));
  }

  close(): void {
    this.#outbox.close();
  }

  async #ask<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const { link, timeout } = this.#options;
    try {
      await link.up(timeout);
      return await link.answer(ask);
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** What is asked for, or `undefined` where the broker answers with one of these codes. */
  async #find<Thing>(codes: readonly number[], ask: () => Promise<Thing>): Promise<Thing | undefined> {
    return this.#ask(async () => {
      try {
        return await ask();
      } catch (error) {
        if (codeOf(error, codes)) return undefined;
        throw error;
      }
    });
  }

  #failure(cause: unknown): unknown {
    const { name } = this.#options;
    if (isEventDriverError(cause) && (cause.code.startsWith("ERR_STORE_") || cause.code === "ERR_TOO_LARGE")) return cause;
    if (cause instanceof JetStreamApiError && cause.status < 500)
      return unusable(name, `cannot be used: NATS says ${quote(cause.message)} (${cause.code})`, cause);
    return new EventDriverError("ERR_STORE_UNAVAILABLE", {
      message: `natsKvEventStore: bucket ${quote(name)} does not answer, or its answer was lost; look up what is there, and try again`,
      retryable: true,
      cause,
    });
  }
}

function codeOf(error: unknown, codes: readonly ApiError["err_code"][]): boolean {
  return error instanceof JetStreamApiError && codes.includes(error.code);
}

function unusable(name: string, problem: string, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_STORE_FAILED", {
    message: `natsKvEventStore: bucket ${quote(name)} ${problem}`,
    retryable: true,
    cause,
  });
}
