import { connect, errors, type NatsConnection, type NodeConnectionOptions, type Subscription } from "@nats-io/transport-node";
import { type Clock, EventDriverError, type Logger, quote, sleep } from "event-driver";
import { untrustedServer } from "event-driver/streams";

import type { Endpoints } from "./endpoints.ts";

export interface LinkOptions extends Endpoints {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Who wants to know whether there is a broker. */
export interface LinkListener {
  readonly onDown?: () => void;
  /** It is there again: what was asked of it and not answered is lost. */
  readonly onUp?: () => void;
  /** It does not let us send to a subject. It says so without saying to which message. */
  readonly onForbidden?: (subject: string, error: Error) => void;
}

/** Milliseconds for the answer to a goodbye. */
const goodbye = 2_000;

/** The oldest server that has all that is used: messages with a lifetime of their own. */
const oldest: readonly [major: number, minor: number] = [2, 11];

/**
 * One client of the broker, which comes back for ever, and what is to be known of its coming and going.
 *
 * Whatever waits for an answer of the broker waits through it, so that nothing waits for one that cannot come any more.
 */
export class Link {
  readonly client: NatsConnection;
  readonly #options: LinkOptions;
  readonly #backoff: Backoff;
  readonly #isOurs: boolean;
  readonly #listeners = new Set<LinkListener>();
  /** Those that wait for an answer, and are told when it cannot come. */
  readonly #waiting = new Set<(error: unknown) => void>();
  /** Those that wait for a connection. */
  readonly #whenUp = new Set<{ readonly resolve: () => void; readonly reject: (error: unknown) => void }>();
  #isUp = true;
  #isClosed = false;
  #flush: Promise<void> | undefined;
  /** What is sent with the next flush. */
  #words: { readonly subject: string; readonly word: Uint8Array }[] = [];

  constructor(client: NatsConnection, options: LinkOptions, { backoff, isOurs }: { readonly backoff: Backoff; readonly isOurs: boolean }) {
    this.client = client;
    this.#options = options;
    this.#backoff = backoff;
    this.#isOurs = isOurs;
    backoff.reset();
    void this.#watch();
  }

  get isUp(): boolean {
    return this.#isUp && !this.#isClosed;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Calling what it returns ends the listening. */
  listen(listener: LinkListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Resolves as soon as there is a connection; rejects after so many milliseconds without one, and when it is closed. */
  up(timeout: number = Infinity): Promise<void> {
    if (this.#isClosed) return Promise.reject(this.#closedError());
    if (this.#isUp) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        cancel?.();
        this.#whenUp.delete(waiter);
        settle();
      };
      const cancel = timeout === Infinity ? undefined : this.#options.clock.after(timeout, () => waiter.reject(this.#downError()));
      const waiter = { resolve: () => end(resolve), reject: (error: unknown) => end(() => reject(error)) };
      this.#whenUp.add(waiter);
    });
  }

  /** The answer, or a rejection when the connection to whoever owes it is lost. */
  async answer<Answer>(asked: () => Promise<Answer>): Promise<Answer> {
    if (!this.isUp) throw this.#isClosed ? this.#closedError() : this.#downError();
    const { promise: lost, reject } = Promise.withResolvers<never>();
    this.#waiting.add(reject);
    try {
      return await Promise.race([asked(), lost]);
    } finally {
      this.#waiting.delete(reject);
    }
  }

  /** Sends a word soon, together with all others of what is read at once, and resolves when the broker has it. */
  say(subject: string, word: Uint8Array): Promise<void> {
    this.#words.push({ subject, word });
    return this.flushed();
  }

  /** Resolves when the broker has had everything that was sent before. All that ask while one piece of what comes is read share one round trip. */
  flushed(): Promise<void> {
    return (this.#flush ??= this.#flushSoon());
  }

  /** Ends a subscription of the client; what the broker has sent until it heard of that still comes. */
  async drain(subscription: Subscription): Promise<void> {
    if (!this.isUp) return subscription.unsubscribe();
    await this.within(
      goodbye,
      this.answer(() => subscription.drain()),
    );
  }

  /** Lets the broker hear what was said last, if it hears anything. */
  async farewell(): Promise<void> {
    if (this.isUp) await this.within(goodbye, this.flushed());
  }

  /** Says goodbye first, and does not wait long for an answer. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    await this.farewell();
    this.#end();
    if (this.#isOurs) await this.client.close();
  }

  /** Waits for what need not end well, not longer than so many milliseconds. */
  async within(limit: number, happening: Promise<unknown>): Promise<void> {
    const { clock, logger } = this.#options;
    const { promise: limitReached, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(limit, resolve);
    const ended = happening.catch((error: unknown) => logger.debug({ err: error }, "the end of something was not heard by NATS"));
    await Promise.race([ended, limitReached]);
    cancel();
  }

  async #flushSoon(): Promise<void> {
    // When all that was read at once is dealt with. Later, as by setImmediate, is after all that can be read: the broker would wait for words meanwhile.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    this.#flush = undefined;
    const words = this.#words;
    this.#words = [];
    await this.answer(() => {
      // One after another without a pause, so that the client writes them to its socket at once: a write of their own costs more than the words.
      for (const { subject, word } of words) this.client.publish(subject, word);
      return this.client.flush();
    });
  }

  async #watch(): Promise<void> {
    const { logger } = this.#options;
    void this.client.closed().then((error) => {
      if (error instanceof Error) logger.error({ err: error }, "the client of NATS has given up");
      this.#end();
    });
    for await (const status of this.client.status()) {
      if (this.#isClosed) return;
      if (status.type === "disconnect") this.#goDown();
      if (status.type === "reconnect") this.#comeUp();
      if (status.type === "error") this.#onError(status.error);
    }
  }

  #onError(error: Error): void {
    this.#options.logger.warn({ err: error }, "NATS has reported an error");
    if (!(error instanceof errors.PermissionViolationError) || error.operation !== "publish") return;
    for (const { onForbidden } of this.#listeners) onForbidden?.(error.subject, error);
  }

  #goDown(): void {
    if (!this.#isUp || this.#isClosed) return;
    this.#isUp = false;
    this.#tellWaiting(this.#downError());
    for (const { onDown } of this.#listeners) onDown?.();
  }

  #comeUp(): void {
    if (this.#isUp || this.#isClosed) return;
    this.#isUp = true;
    this.#backoff.reset();
    for (const waiter of this.#whenUp) waiter.resolve();
    for (const { onUp } of this.#listeners) onUp?.();
  }

  #end(): void {
    this.#isClosed = true;
    this.#tellWaiting(this.#closedError());
    for (const waiter of this.#whenUp) waiter.reject(this.#closedError());
  }

  #tellWaiting(error: unknown): void {
    for (const reject of this.#waiting) reject(error);
    this.#waiting.clear();
  }

  #downError(): EventDriverError {
    return new EventDriverError("ERR_CONNECTION_FAILED", {
      message: `NATS at ${this.#options.servers.join(", ")} is out of reach; it is tried again for ever`,
      retryable: true,
    });
  }

  #closedError(): EventDriverError {
    return new EventDriverError("ERR_CONNECTION_CLOSED", {
      message: `the connection to NATS at ${this.#options.servers.join(", ")} is closed; another process may go on`,
      retryable: true,
    });
  }
}

/**
 * Connects, and tries that again until `connectTimeout`.
 *
 * @throws EventDriverError `ERR_CONNECTION_FAILED`, `ERR_UNSUPPORTED` for a server that is too old
 */
export async function openLink(options: LinkOptions): Promise<Link> {
  const { clock, connectTimeout, servers } = options;
  const giveUpAt = clock.now() + connectTimeout;
  const backoff = backoffBy(clock);
  for (let attempt = 0; ; attempt += 1) {
    const left = giveUpAt - clock.now();
    try {
      const client = await connect({ ...clientOptions(options, backoff), timeout: Math.max(1, left) });
      return await checkedLink(client, options, backoff);
    } catch (error) {
      const pause = Math.min(50 * 2 ** attempt, 1_000);
      const isRefused = error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError;
      if (error instanceof EventDriverError) throw error;
      const untrusted = untrustedServer(`NATS at ${servers.join(", ")}`, "clientOptions.tls", error);
      // Of several servers the client tells only what the last one had against us.
      if (untrusted !== undefined && servers.length === 1) throw untrusted;
      if (isRefused || clock.now() + pause >= giveUpAt) throw untrusted ?? notConnected(servers, connectTimeout, error, !isRefused);
      await sleep(clock, pause);
    }
  }
}

/** A link over a client of the user's own, which he closes. */
export function linkOver(client: NatsConnection, options: LinkOptions): Link {
  return new Link(client, options, { backoff: backoffBy(options.clock), isOurs: false });
}

async function checkedLink(client: NatsConnection, options: LinkOptions, backoff: Backoff): Promise<Link> {
  const version = client.info?.version ?? "";
  if (isNewEnough(version)) return new Link(client, options, { backoff, isOurs: true });
  await client.close();
  throw new EventDriverError("ERR_UNSUPPORTED", {
    message: `NATS at ${options.servers.join(", ")} is of version ${quote(version)}; ${oldest.join(".")} or newer is needed, because older ones take settings of a stream and ignore them`,
    retryable: false,
  });
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1]);
}

interface Backoff {
  /** Milliseconds that must have passed since the last attempt to connect. */
  readonly delay: () => number;
  /** There is a connection. */
  readonly reset: () => void;
}

/**
 * Longer the longer the broker is away. By time and not by attempts: the client asks several times before each of them, and waits anew for each answer that
 * is longer than the one before.
 */
function backoffBy(clock: Clock): Backoff {
  let since: number | undefined;
  return {
    delay() {
      since ??= clock.now();
      return Math.min(Math.max((clock.now() - since) / 4, 50), 5_000) * (0.75 + Math.random() / 4);
    },
    reset() {
      since = undefined;
    },
  };
}

/** The client's own options, over what fits a connection that comes back for ever and notices soon that its broker is gone. */
function clientOptions({ servers, clientOptions: own }: LinkOptions, backoff: Backoff): NodeConnectionOptions {
  return {
    name: "event-driver",
    pingInterval: 10_000,
    maxPingOut: 2,
    reconnectDelayHandler: backoff.delay,
    ...own,
    servers: [...servers],
    reconnect: true,
    maxReconnectAttempts: -1,
    waitOnFirstConnect: false,
    // Credentials may be about to change: who gives up for good cannot come back.
    ignoreAuthErrorAbort: true,
    // Traces of where a request began cost more than the request.
    noAsyncTraces: true,
  };
}

function notConnected(servers: readonly string[], timeout: number, cause: unknown, retryable: boolean): EventDriverError {
  const what = retryable ? `has not answered within ${timeout} ms; look whether it runs and can be reached` : "has refused the credentials";
  return new EventDriverError("ERR_CONNECTION_FAILED", { message: `NATS at ${servers.join(", ")} ${what}`, retryable, cause });
}
