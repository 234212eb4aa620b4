import type { TransportSubscription } from "event-driver/streams";
import type { Channel } from "rabbitmq-client";

import { isEventDriverError } from "event-driver";

import { closed } from "./link.ts";
import { queueOf } from "./names.ts";
import { keepTrying } from "./keep-trying.ts";
import { Session, type SessionOptions } from "./session.ts";
import { busy, isPassing, notConsumable, notRemoved, type Topology } from "./topology.ts";
import { type LagOptions, watchLag } from "./watch-lag.ts";

export interface SubscriptionOptions extends SessionOptions, LagOptions {
  readonly topology: Topology;
  readonly servers: string;
  /** Whether only one of several subscriptions of a name is served at a time. */
  readonly isOrdered: boolean;
  /** Called once, when it has left. Says whether no other subscription of this connection has the name. */
  readonly onLeft: () => boolean;
}

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
    const { request, topology } = this.#options;
    try {
      if (request.reset) await this.#keepTrying(isPassing, () => topology.forget(request));
      await this.#keepTrying(isPassing, () => this.#begin());
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
      if (link.isUp) await topology.unlock(request);
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
      await topology.forget(request);
    } catch (error) {
      // Somebody else has the name, so its position stays.
      if (!isBusy(error)) throw error;
    }
  }

  #keepTrying(mayHelp: (error: unknown) => boolean, attempt: () => Promise<void>): Promise<void> {
    const { link, servers, clock } = this.#options;
    const onError = (error: unknown): void => this.#warn(error, "a queue is not consumed; it is tried again");
    return keepTrying({ link, servers, clock, leaving: this.#leaving.signal, mayHelp, onError }, attempt);
  }

  async #begin(): Promise<void> {
    const { request, link, servers, isOrdered } = this.#options;
    const channel = await link.channel();
    const queue = queueOf(request.stream, request.name);
    const session = new Session(this.#options, channel, {
      queue,
      prefetch: request.maxInFlight,
      isOrdered: isOrdered || request.exclusive,
    });
    try {
      await link.answered(this.#join(session, channel));
      if (this.#isStopped) throw closed(servers);
    } catch (error) {
      // Not waited for: where the broker does not answer, it does not answer to that either.
      void session.end();
      throw error;
    }
    this.#session = session;
    this.#hasBegun = true;
    this.#watchLag(session);
    session.begin((error) => void this.#beginAgain(error));
  }

  /** Locks first and counts then, where the others consume first and look for a lock then: of two at once one sees the other. */
  async #join(session: Session, channel: Channel): Promise<void> {
    const { request, topology, onLag } = this.#options;
    await topology.requireUndivided(request);
    if (request.exclusive) await topology.lock(request);
    const { messages, consumers } = await topology.needQueue(channel, request);
    if (request.exclusive && consumers > 0) {
      await topology.unlock(request);
      throw busy(request);
    }
    await session.consume();
    if (!request.exclusive) await Promise.all([topology.requireUnlocked(request), topology.requireUnheld(request)]);
    onLag(messages);
  }

  async #beginAgain(reason: unknown): Promise<void> {
    this.#session = undefined;
    this.#cancelLag?.();
    if (this.#isStopped) return;
    this.#warn(reason, "the broker or the connection has ended a consumer; it is begun again");
    try {
      await this.#keepTrying(
        (error) => isPassing(error) || isBusy(error),
        () => this.#begin(),
      );
    } catch (error) {
      const { link, sink } = this.#options;
      if (!this.#isStopped && !link.isClosed) sink.lost(this.#refusal(error));
    }
  }

  #watchLag(session: Session): void {
    this.#cancelLag = watchLag(
      this.#options,
      () => session.countWaiting(),
      (error) => this.#warn(error, "how much waits in a queue was not counted"),
    );
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
