import { type ApiError, JetStreamApiError } from "@nats-io/jetstream";
import { createInbox, type Msg, MsgHdrsImpl, type Subscription } from "@nats-io/transport-node";
import { type Clock, EventDriverError, type Logger, quote, sleep } from "event-driver";

import type { Link } from "./link.ts";

import { isFinal } from "./topology.ts";

export interface OutboxOptions {
  readonly link: Link;
  /** Makes sure that what letters are sent to is there. */
  readonly prepare: (lane: string) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Milliseconds for one message. */
  readonly timeout: number;
}

/** A message as it is sent. */
export interface Letter {
  /** Of the message, for errors. */
  readonly id: string;
  readonly subject: string;
  readonly headers: Record<string, string[]>;
  readonly body: Uint8Array;
  readonly signal: AbortSignal | undefined;
}

/** A letter that is not confirmed. */
interface Pending {
  readonly letter: Letter;
  readonly lane: Lane;
  readonly reply: string;
  readonly expiresAt: number;
  /** Ends it, once. */
  readonly resolve: (sequence: number) => void;
  readonly reject: (error: unknown) => void;
}

/** What goes to one stream, in its order. */
interface Lane {
  readonly name: string;
  readonly pending: Set<Pending>;
  /** Whether the stream is known to be there, so that letters are sent as they come. */
  isOpen: boolean;
  isOpening: boolean;
  /** How often the stream has had nobody to take a letter, since it last took one. */
  refusals: number;
}

/**
 * Sends messages and waits for the broker to confirm each.
 *
 * What was not confirmed when the connection is lost is sent again, in its order: every letter has a `Nats-Msg-Id`, so the broker takes none of them twice. It
 * has its own inbox and one timer, because the client's requests have one each, which costs more than the message.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #inbox: string = createInbox();
  readonly #answers: Subscription;
  readonly #lanes = new Map<string, Lane>();
  /** By the subject of the answer, the oldest first. */
  readonly #pending = new Map<string, Pending>();
  readonly #stopListening: () => void;
  #cancelTimer: (() => void) | undefined;
  #count = 0;
  readonly #closing = new AbortController();

  constructor(options: OutboxOptions) {
    const { link } = options;
    this.#options = options;
    this.#answers = link.client.subscribe(`${this.#inbox}.*`, { callback: (error, answer) => this.#onAnswer(error, answer) });
    this.#stopListening = link.listen({
      onDown: () => this.#lanes.forEach((lane) => (lane.isOpen = false)),
      onUp: () => this.#lanes.forEach((lane) => this.#open(lane)),
      onForbidden: (subject, error) => this.#forbid(subject, error),
    });
  }

  /** Resolves with its place in the JetStream stream, when the broker has confirmed it. Those of one lane are sent in the order of the calls. */
  send(name: string, letter: Letter): Promise<number> {
    if (this.#closing.signal.aborted) return Promise.reject(closed(letter));
    const { clock, timeout } = this.#options;
    const { signal } = letter;
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const lane = this.#lane(name);
      const end = (): void => {
        this.#pending.delete(pending.reply);
        lane.pending.delete(pending);
        signal?.removeEventListener("abort", onAbort);
      };
      const pending: Pending = {
        letter,
        lane,
        reply: `${this.#inbox}.${(this.#count += 1)}`,
        expiresAt: clock.now() + timeout,
        resolve(sequence) {
          end();
          resolve(sequence);
        },
        reject(error) {
          end();
          reject(error);
        },
      };
      const onAbort = (): void => pending.reject(signal?.reason);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#pending.set(pending.reply, pending);
      lane.pending.add(pending);
      this.#cancelTimer ??= clock.after(timeout, this.#giveUp);
      if (lane.isOpen) this.#post(pending);
      else this.#open(lane);
    });
  }

  close(): void {
    this.#cancelTimer?.();
    this.#stopListening();
    this.#answers.unsubscribe();
    for (const { letter, reject } of this.#pending.values()) reject(closed(letter));
    this.#closing.abort();
  }

  #lane(name: string): Lane {
    const known = this.#lanes.get(name);
    if (known !== undefined) return known;
    const lane: Lane = { name, pending: new Set(), isOpen: false, isOpening: false, refusals: 0 };
    this.#lanes.set(name, lane);
    return lane;
  }

  #post({ letter, reply, reject }: Pending): void {
    const { link } = this.#options;
    try {
      link.client.publish(letter.subject, letter.body, { headers: MsgHdrsImpl.fromRecord(letter.headers), reply });
    } catch (error) {
      reject(refused(letter, link.client.info?.max_payload, error));
    }
  }

  /** Makes sure that the stream is there, as long as anything waits for it; then sends all of it. */
  #open(lane: Lane): void {
    lane.isOpen = false;
    if (lane.isOpening || lane.pending.size === 0) return;
    lane.isOpening = true;
    void this.#tryToOpen(lane).finally(() => (lane.isOpening = false));
  }

  async #tryToOpen(lane: Lane): Promise<void> {
    const { link, prepare, clock, logger } = this.#options;
    for (let attempt = lane.refusals; lane.pending.size > 0; attempt += 1) {
      try {
        if (attempt > 0) await sleep(clock, Math.min(25 * 2 ** attempt, 2_000), this.#closing.signal);
        await link.up();
        await prepare(lane.name);
        if (!link.isUp) continue;
        lane.isOpen = true;
        for (const pending of lane.pending) this.#post(pending);
        return;
      } catch (error) {
        if (isFinal(error)) return lane.pending.forEach(({ reject }) => reject(error));
        logger.warn({ stream: lane.name, err: error }, "a stream cannot be published to yet; it is tried again");
      }
    }
  }

  #onAnswer(error: Error | null, answer: Msg): void {
    if (error !== null) return this.#options.logger.error({ err: error }, "no answers can be received, so nothing can be published");
    const pending = this.#pending.get(answer.subject);
    if (pending === undefined) return;
    const { lane } = pending;
    if (answer.data.length === 0 && answer.headers?.code === 503) {
      lane.refusals += 1;
      return this.#open(lane);
    }
    lane.refusals = 0;
    const { seq = 0, error: problem } = answer.json<PublishAnswer>();
    if (problem === undefined) pending.resolve(seq);
    else pending.reject(notTaken(pending.letter, problem));
  }

  #forbid(subject: string, error: Error): void {
    for (const { letter, reject } of this.#pending.values()) {
      if (letter.subject === subject) reject(forbidden(letter, error));
    }
  }

  readonly #giveUp = (): void => {
    const { clock, timeout } = this.#options;
    for (const { letter, expiresAt, reject } of this.#pending.values()) {
      if (expiresAt > clock.now()) break;
      reject(notConfirmed(letter, timeout));
    }
    const [oldest] = this.#pending.values();
    this.#cancelTimer = oldest && clock.after(oldest.expiresAt - clock.now(), this.#giveUp);
  };
}

interface PublishAnswer {
  readonly seq?: number;
  readonly error?: ApiError;
}

function notTaken({ id }: Letter, problem: ApiError): EventDriverError {
  const { description, err_code } = problem;
  return new EventDriverError("ERR_PUBLISH_FAILED", {
    message: `message ${quote(id)} was not published: NATS says ${quote(description)} (${err_code}); publish it again when that is mended`,
    retryable: true,
    cause: new JetStreamApiError(problem),
  });
}

function refused({ id, body }: Letter, limit: number | undefined, cause: unknown): EventDriverError {
  if (limit === undefined || !(cause instanceof Error && cause.message.includes("max_payload")))
    return new EventDriverError("ERR_PUBLISH_FAILED", {
      message: `message ${quote(id)} was not published; publish it again`,
      retryable: true,
      cause,
    });
  return new EventDriverError("ERR_TOO_LARGE", {
    message: `message ${quote(id)} has ${body.length} bytes of content; NATS takes ${limit}, headers included: raise max_payload there, or send less`,
    retryable: false,
    cause,
  });
}

function forbidden({ id, subject }: Letter, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_PUBLISH_FAILED", {
    message: `message ${quote(id)} was not published: NATS does not let this user send to ${quote(subject)}; permit it there, and publish it again`,
    retryable: true,
    cause,
  });
}

function notConfirmed({ id }: Letter, timeout: number): EventDriverError {
  return new EventDriverError("ERR_PUBLISH_FAILED", {
    message: `message ${quote(id)} was not confirmed by NATS within ${timeout} ms, so it may be there or not; publish it again`,
    retryable: true,
  });
}

function closed({ id }: Letter): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_CLOSED", {
    message: `the connection to NATS was closed before message ${quote(id)} was confirmed, so it may be there or not; another process may publish it again`,
    retryable: true,
  });
}
