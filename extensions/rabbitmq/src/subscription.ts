import type { TransportSubscription } from "event-driver/streams";

import { isEventDriverError, sleep } from "event-driver";

import { closed } from "./link.ts";
import { Session, type SessionOptions } from "./session.ts";
import { isPassing, notConsumable, notRemoved } from "./topology.ts";

export interface SubscriptionOptions extends SessionOptions {
  readonly servers: string;
  /** Milliseconds between two looks at how many messages wait. */
  readonly lagInterval: number;
  /** Called once, when it has left. Says whether no other subscription of this connection has the name. */
  readonly onLeft: () => boolean;
}

/** Milliseconds between two attempts to consume again: the first pause, and the longest. */
const firstPause = 100;
const longestPause = 10_000;

/** Consumes the queue of a name, and again when the connection was lost or the broker has ended it. */
export class Subscription implements TransportSubscription {
  readonly #options: SubscriptionOptions;
  readonly #leaving = new AbortController();
  #session: Session | undefined;
  #cancelLag: (() => void) | undefined;
  #hasBegun = false;
  #isStopped = false;
  #left: Promise<void> | undefined;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
  }

  /**
   * Resolves when everything that is published from now on will come.
   *
   * @throws EventDriverError `ERR_SUBSCRIPTION_BUSY`, `ERR_TOPOLOGY`, `ERR_CONNECTION_CLOSED`
   */
  async open(): Promise<void> {
    const { request, topology, link } = this.#options;
    try {
      if (request.reset) await this.#persist(isPassing, () => topology.forget(link, request));
      await this.#persist(isPassing, () => this.#begin());
    } catch (error) {
      await this.close();
      throw this.#refusal(error);
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#session?.stop();
  }

  close(): Promise<void> {
    return (this.#left ??= this.#leave(false));
  }

  forget(): Promise<void> {
    return (this.#left ??= this.#leave(true));
  }

  async #leave(isForgotten: boolean): Promise<void> {
    const { request, topology, link, onLeft } = this.#options;
    this.#isStopped = true;
    this.#leaving.abort();
    this.#cancelLag?.();
    await this.#session?.end();
    const isRemoved = onLeft() && this.#hasBegun && (isForgotten || !request.durable);
    try {
      // Where the connection is lost, so is what is locked by it.
      if (link.isUp) await topology.unlock(link, request);
      if (isRemoved) await this.#remove();
    } catch (error) {
      if (isForgotten) throw notRemoved(request, error);
      this.#warn(error, "what a subscription had at the broker stays there for now");
    }
  }

  async #remove(): Promise<void> {
    const { request, topology, link, servers } = this.#options;
    if (!link.isUp) throw closed(servers);
    try {
      await topology.forget(link, request);
    } catch (error) {
      // Somebody else has the name, so its position stays.
      if (!isBusy(error)) throw error;
    }
  }

  /** Tries until it succeeds, as long as trying again may help. */
  async #persist(mayHelp: (error: unknown) => boolean, attempt: () => Promise<void>): Promise<void> {
    const { link, servers, clock } = this.#options;
    const gone = AbortSignal.any([link.closing, this.#leaving.signal]);
    for (let pause = firstPause; ; pause = Math.min(2 * pause, longestPause)) {
      if (gone.aborted) throw closed(servers);
      try {
        return await attempt();
      } catch (error) {
        if (!mayHelp(error)) throw error;
        this.#warn(error, "a queue is not consumed; it is tried again");
      }
      // Leaving ends the pause, and the loop with it.
      await sleep(clock, pause, gone).catch(() => {});
    }
  }

  async #begin(): Promise<void> {
    const { link, servers } = this.#options;
    const session = new Session(this.#options, await link.channel());
    try {
      await link.answered(session.join());
      if (this.#isStopped) throw closed(servers);
    } catch (error) {
      // Not waited for: where the broker does not answer, it does not answer to that either.
      void session.end();
      throw error;
    }
    this.#session = session;
    this.#hasBegun = true;
    this.#watchLag();
    session.begin((error) => void this.#beginAgain(error));
  }

  async #beginAgain(reason: unknown): Promise<void> {
    this.#session = undefined;
    this.#cancelLag?.();
    if (this.#isStopped) return;
    this.#warn(reason, "the broker or the connection has ended a consumer; it is begun again");
    try {
      await this.#persist(
        (error) => isPassing(error) || isBusy(error),
        () => this.#begin(),
      );
    } catch (error) {
      const { link, sink } = this.#options;
      if (!this.#isStopped && !link.isClosed) sink.lost(this.#refusal(error));
    }
  }

  #watchLag(): void {
    const { clock, lagInterval, onLag } = this.#options;
    if (lagInterval === Infinity) return;
    this.#cancelLag = clock.after(lagInterval, () => {
      const session = this.#session;
      if (session === undefined) return;
      this.#watchLag();
      // A channel that cannot answer is ended, and that is dealt with.
      session.countWaiting().then(onLag, (error: unknown) => this.#warn(error, "how much waits in a queue was not counted"));
    });
  }

  /** In words of this package. */
  #refusal(error: unknown): unknown {
    return isEventDriverError(error) ? error : notConsumable(this.#options.request, error);
  }

  #warn(error: unknown, text: string): void {
    const { request, logger } = this.#options;
    logger.warn({ stream: request.stream, name: request.name, err: error }, text);
  }
}

function isBusy(error: unknown): boolean {
  return isEventDriverError(error) && error.code === "ERR_SUBSCRIPTION_BUSY";
}
