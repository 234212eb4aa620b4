import type { WrittenRecord } from "@event-driver/cloudevents/bindings";

import { EventDriverError, quote } from "event-driver";

import type { Admin } from "./admin.ts";
import type { PulsarSettings } from "./options.ts";

import { Link, type Presence } from "./link.ts";
import { ClosedError, RefusalError } from "./socket.ts";

export interface ProducerOptions {
  /** The name of the topic at the broker. */
  readonly topic: string;
  readonly settings: PulsarSettings;
  readonly presence: Presence;
  readonly admin: Admin;
}

/** What is to be published. */
export interface Publication {
  readonly id: string;
  readonly record: WrittenRecord;
  /** Epoch milliseconds; `undefined` for at once. */
  readonly deliverAt: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** A message that has no answer yet. */
interface Pending {
  readonly id: string;
  readonly frame: string;
  readonly settle: (error?: unknown) => void;
}

/** What Pulsar says of a message. */
interface Answer {
  readonly result?: unknown;
  readonly context?: unknown;
  readonly errorMsg?: unknown;
}

/** How many messages may be without an answer at once: older brokers refuse what exceeds a thousand. */
const maxUnanswered = 1_000;
/** Nor more characters than that, but for a single message: whoever answers holds them all. */
const maxCharacters = 16 * 1_048_576;
const notFound = 404;
const textTooLarge = 1009;

/**
 * Publishes to one topic over one socket, in the order of the calls.
 *
 * When the socket goes down, what has no answer is sent again over the next one, before anything else: nobody knows whether Pulsar has it. Then it may be
 * there twice, with one id.
 */
export class Producer {
  readonly #options: ProducerOptions;
  readonly #link: Link;
  /** Sent, in the order of sending. */
  readonly #unanswered = new Map<string, Pending>();
  /** Not sent yet. */
  readonly #waiting = new Map<string, Pending>();
  /** Of what was sent. */
  #characters = 0;
  #published = 0;

  constructor(options: ProducerOptions) {
    this.#options = options;
    const { settings, presence, admin, topic } = options;
    const { tenant, namespace } = settings;
    this.#link = new Link(settings, presence, {
      prepare: () => admin.ensureTopic(topic),
      address: () => `/ws/v2/producer/persistent/${tenant}/${namespace}/${topic}`,
      isNeeded: () => this.#unanswered.size + this.#waiting.size > 0,
      onOpen: () => this.#sendAgain(),
      onText: (text) => this.#onAnswer(JSON.parse(text)),
      onDown: (error) => this.#onDown(error),
      onFailure: (error) => this.#onFailure(error),
    });
  }

  /** Resolves when Pulsar has the message. */
  publish({ id, record, deliverAt, signal }: Publication): Promise<void> {
    this.#published += 1;
    const context = String(this.#published);
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.delete(context);
        this.#takeUnanswered(context);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      const settle = (error?: unknown): void => {
        signal?.removeEventListener("abort", onAbort);
        if (error === undefined) resolve();
        else reject(error);
      };
      this.#waiting.set(context, { id, frame: frameOf(record, deliverAt, context), settle });
      this.#send();
    });
  }

  async close(): Promise<void> {
    await this.#link.close();
    this.#rejectAll(new Error("the connection was closed"));
  }

  #send(): void {
    if (!this.#link.isOpen) return this.#link.start();
    for (const [context, pending] of this.#waiting) {
      if (this.#unanswered.size >= maxUnanswered || this.#characters >= maxCharacters) return;
      this.#waiting.delete(context);
      this.#unanswered.set(context, pending);
      this.#characters += pending.frame.length;
      this.#link.send(pending.frame);
    }
  }

  #sendAgain(): void {
    for (const { frame } of this.#unanswered.values()) this.#link.send(frame);
    this.#send();
  }

  #onAnswer({ result, context, errorMsg }: Answer): void {
    const pending = this.#takeUnanswered(context);
    // There is none where nobody waits for it any more.
    pending?.settle(result === "ok" ? undefined : refusal(pending, `${String(result)}, ${String(errorMsg)}`));
    this.#send();
  }

  #takeUnanswered(context: unknown): Pending | undefined {
    if (typeof context !== "string") return undefined;
    const pending = this.#unanswered.get(context);
    if (pending === undefined) return undefined;
    this.#unanswered.delete(context);
    this.#characters -= pending.frame.length;
    return pending;
  }

  #onDown(error: Error): void {
    this.#options.settings.logger.warn({ topic: this.#options.topic, err: error }, "a producer has lost Pulsar");
    if (error instanceof ClosedError && error.status === textTooLarge) this.#rejectLargest(error);
  }

  #onFailure(error: unknown): boolean {
    const { topic, admin, settings } = this.#options;
    settings.logger.warn({ topic, err: error }, "a producer was not opened");
    if (error instanceof RefusalError && error.status === notFound) admin.missTopic(topic);
    const isFinal = error instanceof EventDriverError || (error instanceof RefusalError && error.isFinal);
    if (isFinal) this.#rejectAll(error);
    return !isFinal;
  }

  /** Pulsar does not say which one was too large. That one is larger than what is allowed, and so is the largest. */
  #rejectLargest(error: ClosedError): void {
    const largest = Math.max(...Array.from(this.#unanswered.values(), bytesOf));
    for (const [context, pending] of this.#unanswered) {
      if (bytesOf(pending) < largest) continue;
      this.#takeUnanswered(context);
      pending.settle(tooLarge(pending.id, error));
    }
  }

  #rejectAll(error: unknown): void {
    const all = [...this.#unanswered.values(), ...this.#waiting.values()];
    this.#unanswered.clear();
    this.#waiting.clear();
    this.#characters = 0;
    for (const { settle } of all) settle(error);
  }
}

function frameOf({ headers, key, body }: WrittenRecord, deliverAt: number | undefined, context: string): string {
  const payload = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("base64");
  const properties: Record<string, string> = {};
  for (const [name, value] of headers) properties[name] = value;
  const rest = JSON.stringify({ properties, key, deliverAt, context });
  // Base64 has nothing to escape, and looking for it in all of the content takes longer than all else here.
  return `${rest.slice(0, -1)},"payload":"${payload}"}`;
}

function bytesOf({ frame }: Pending): number {
  return Buffer.byteLength(frame);
}

function refusal({ id }: Pending, reason: string): Error {
  const cause = new Error(`Pulsar has answered ${reason.slice(0, 300)}`);
  return reason.includes("InvalidMessageException") ? tooLarge(id, cause) : cause;
}

function tooLarge(id: string, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_TOO_LARGE", {
    message: `message ${quote(id)} is larger than Pulsar takes; raise maxMessageSize and webSocketMaxTextFrameSize there, or publish a reference to its content`,
    retryable: false,
    cause,
  });
}
