import type { Channel, ConnectionOptions as ClientOptions } from "rabbitmq-client";

import { type Clock, EventDriverError, type Logger } from "event-driver";
import { untrustedServer } from "event-driver/streams";
import { Socket } from "node:net";
import { Connection } from "rabbitmq-client";

export interface LinkOptions {
  readonly client: ClientOptions;
  /** Where it leads, without user info, for errors and logs. */
  readonly servers: string;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Milliseconds that the broker has to answer a goodbye. */
const goodbye = 2_000;

/** Milliseconds after which the broker counts as not answering. */
const noAnswer = 30_000;

/** What the broker says of a login that no further attempt would mend. */
const refusals = new Set(["ACCESS_REFUSED", "NOT_ALLOWED"]);

/** One connection of the client, which connects again for ever. Says when it is up, and gives channels while it is. */
export class Link {
  readonly #options: LinkOptions;
  readonly #connection: Connection;
  readonly #listeners = new Set<(isUp: boolean) => void>();
  readonly #closed = new AbortController();
  #isUp = false;
  /** What it was corked on last. */
  #socket: Socket | undefined;
  #isCorked = false;
  #epoch = 0;
  #lastError: unknown;
  #closing: Promise<void> | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#connection = new Connection(options.client);
    this.#connection.on("connection", () => {
      this.#epoch += 1;
      this.#enter(true);
    });
    this.#connection.on("error", (error: unknown) => {
      this.#lastError = error;
      options.logger.warn({ servers: options.servers, err: error }, "the connection to RabbitMQ is lost; it is made again");
      this.#enter(false);
    });
    this.#connection.on("connection.blocked", (reason) =>
      options.logger.warn({ servers: options.servers, reason }, "RabbitMQ is short of resources and takes no messages"),
    );
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** How often it has come up. What belongs to a connection of the broker is gone when this has changed. */
  get epoch(): number {
    return this.#epoch;
  }

  get isClosed(): boolean {
    return this.closing.aborted;
  }

  /** Aborts when it is closed. */
  get closing(): AbortSignal {
    return this.#closed.signal;
  }

  /** Calls `listener` whenever it has come up, gone down or been closed. Calling what this returns ends that. */
  watch(listener: (isUp: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * Resolves when it is up for the first time.
   *
   * @throws EventDriverError `ERR_CONNECTION_FAILED`
   */
  async firstUp(timeout: number): Promise<void> {
    const outcome = await new Promise<"up" | "refused" | "late">((resolve) => {
      const cancel = this.#options.clock.after(timeout, () => resolve("late"));
      const settle = (): void => {
        if (!this.#isUp && !this.#isRefused()) return;
        cancel();
        unwatch();
        resolve(this.#isUp ? "up" : "refused");
      };
      const unwatch = this.watch(settle);
    });
    if (outcome === "up") return;
    throw this.#untrusted() ?? connectionFailed(this.#options.servers, outcome === "late" ? timeout : undefined, this.#lastError);
  }

  /** Resolves when it is up, or closed. */
  async up(): Promise<void> {
    if (this.#isUp || this.isClosed) return;
    await new Promise<void>((resolve) => {
      const unwatch = this.watch((isUp) => {
        if (!isUp && !this.isClosed) return;
        unwatch();
        resolve();
      });
    });
  }

  /** A channel of its own for whoever asks, who closes it. Waits until the link is up. */
  channel(): Promise<Channel> {
    const { servers, logger } = this.#options;
    return this.#channel((error) => logger.warn({ servers, err: error }, "RabbitMQ has closed a channel"));
  }

  /** Lends a channel for some questions; one that is refused closes its channel, and must not close others' with it. */
  async ask<Answer>(question: (channel: Channel) => Promise<Answer>): Promise<Answer> {
    // Whoever asks is given the error, and may well have expected it.
    const channel = await this.#channel(() => {});
    try {
      return await this.answered(question(channel));
    } finally {
      // Not waited for: it ends no sooner than what the broker does not answer.
      void channel.close();
    }
  }

  /** What the broker says, unless it says nothing for long, as of a queue without a leader. */
  async answered<Answer>(asked: Promise<Answer>): Promise<Answer> {
    let cancel: (() => void) | undefined;
    const late = new Promise<never>((_, reject) => {
      cancel = this.#options.clock.after(noAnswer, () => reject(unanswered(this.#options.servers)));
    });
    try {
      return await Promise.race([asked, late]);
    } finally {
      cancel?.();
    }
  }

  /** What is sent in this turn of the event loop goes out in one write: the client would make a call of the operating system for each message. */
  cork(): void {
    if (this.#isCorked) return;
    const socket: unknown = Reflect.get(this.#connection, "_socket");
    if (!(socket instanceof Socket)) return;
    this.#isCorked = true;
    socket.cork();
    process.nextTick(() => {
      this.#isCorked = false;
      socket.uncork();
    });
    if (socket === this.#socket) return;
    this.#socket = socket;
    // Then the client sends what it has held back.
    socket.prependListener("drain", () => this.cork());
  }

  /** Says goodbye to the broker, and does not wait long for an answer. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #channel(onError: (error: unknown) => void): Promise<Channel> {
    await this.up();
    if (this.isClosed) throw closed(this.#options.servers);
    const channel = await this.#connection.acquire({ emitErrorsFromChannel: true });
    channel.on("error", onError);
    keepBytes(channel);
    return channel;
  }

  async #close(): Promise<void> {
    this.#closed.abort();
    for (const listener of this.#listeners) listener(false);
    let cancel: (() => void) | undefined;
    const late = new Promise<void>((resolve) => {
      cancel = this.#options.clock.after(goodbye, resolve);
    });
    await Promise.race([this.#connection.close(), late]);
    cancel?.();
    this.#connection.unsafeDestroy();
  }

  /** Whether no further attempt would mend it. Another server than the last one may have another certificate. */
  #isRefused(): boolean {
    if (refusals.has(codeOf(this.#lastError))) return true;
    return this.#options.client.hosts === undefined && this.#untrusted() !== undefined;
  }

  #untrusted(): EventDriverError | undefined {
    return untrustedServer(`RabbitMQ at ${this.#options.servers}`, "clientOptions.tls", this.#lastError);
  }

  #enter(isUp: boolean): void {
    this.#isUp = isUp;
    for (const listener of this.#listeners) listener(isUp);
  }
}

/** The code that the client or the system gives an error. */
export function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
}

/**
 * The client parses bodies of text and JSON, by which broken text and long numbers become others, unless they have a content encoding:
 * https://github.com/cody-greene/node-rabbitmq-client/blob/main/src/Channel.ts. So it is shown one.
 */
function keepBytes(channel: Channel): void {
  const onHeader: unknown = Reflect.get(channel, "_onHeader");
  if (typeof onHeader !== "function")
    throw new EventDriverError("ERR_UNSUPPORTED", {
      message: "this version of rabbitmq-client is not known to keep the bytes of a message; install 5.0.8",
      retryable: false,
    });
  Reflect.set(channel, "_onHeader", (frame: { readonly fields: { contentEncoding?: string } }) => {
    frame.fields.contentEncoding ||= plainEncoding;
    Reflect.apply(onHeader, channel, [frame]);
  });
}

/** What {@link keepBytes} says of a body without an encoding. */
export const plainEncoding = "identity";

function connectionFailed(servers: string, timeout: number | undefined, cause: unknown): EventDriverError {
  const what = timeout === undefined ? "refused the connection" : `has not answered within ${timeout} ms`;
  return new EventDriverError("ERR_CONNECTION_FAILED", {
    message: `RabbitMQ at ${servers} ${what}; look whether it runs there and whether the credentials and the virtual host are right`,
    retryable: timeout !== undefined,
    cause,
  });
}

function unanswered(servers: string): Error {
  return Object.assign(new Error(`RabbitMQ at ${servers} has not answered within ${noAnswer} ms`), { code: "NO_ANSWER" });
}

export function closed(servers: string): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_CLOSED", {
    message: `the connection to RabbitMQ at ${servers} is closed; another process may go on`,
    retryable: true,
  });
}
