import type { SubscribeRequest } from "event-driver/streams";
import type { Channel } from "rabbitmq-client";

import type { Locks } from "./locks.ts";

import { EventDriverError, isEventDriverError, quote } from "event-driver";

import { codeOf, type Link } from "./link.ts";
import { exchangeOf, membersOf, partitionOfQueue, queueOf, waitQueueOf } from "./names.ts";

/** What only RabbitMQ has. */
export interface RabbitmqNative {
  /**
   * Who is served first of those who have room: the higher, the sooner.
   * @default 0
   */
  readonly priority?: number;
}

export interface TopologyOptions {
  readonly link: Link;
  readonly locks: Locks;
  readonly topology: "create" | "check";
  /** On how many nodes of the cluster each queue is; `undefined` leaves it to the broker. */
  readonly replicas: number | undefined;
  /** Whether only one of several subscriptions of a name is served at a time. */
  readonly isOrdered: boolean;
  /** Further arguments of the queues of names. */
  readonly queueArguments: QueueArguments;
}

export type QueueArguments = Readonly<Record<string, string | number | boolean>>;

/** What the topology needs to know of a subscription. */
export type Place = Pick<SubscribeRequest<RabbitmqNative>, "stream" | "name"> & Partial<Pick<SubscribeRequest<RabbitmqNative>, "durable">>;

/**
 * High enough to be none. With a limit a message that is given back keeps its place, without one it goes to the end of the queue; and newer servers drop a
 * message at their own limit of 20.
 */
const noLimit = 1_000_000_000;

/** Milliseconds without any subscription after which a position that is not durable is removed, where its process could not do that. */
const abandoned = 60_000;

/** Milliseconds that a wait queue outlives the last message it can hold. */
const waitQueueSlack = 3_600_000;

/** What there is at the broker, and how it is made, found and removed. */
export class Topology {
  readonly #options: TopologyOptions;

  constructor(options: TopologyOptions) {
    this.#options = options;
  }

  /** Has the exchange of a stream. */
  async needStream(channel: Channel, stream: string): Promise<void> {
    const passive = this.#options.topology === "check";
    await needed(`exchange ${quote(exchangeOf(stream))}`, () =>
      channel.exchangeDeclare({ exchange: exchangeOf(stream), type: "fanout", durable: true, passive }),
    );
  }

  /** Has the queue of a name, with all that is published to its stream from now on. Says how many messages wait there, and how many consumers it has. */
  async needQueue(channel: Channel, place: Place): Promise<{ readonly messages: number; readonly consumers: number }> {
    const [exchange, queue] = [exchangeOf(place.stream), queueOf(place.stream, place.name)];
    const passive = this.#options.topology === "check";
    await this.needStream(channel, place.stream);
    const { messageCount, consumerCount } = await needed(`queue ${quote(queue)}`, () =>
      channel.queueDeclare({ queue, durable: true, passive, arguments: this.argumentsOf(place) }),
    );
    if (!passive) await needed(`the binding of queue ${quote(queue)}`, () => channel.queueBind({ queue, exchange, routingKey: "" }));
    return { messages: messageCount, consumers: consumerCount };
  }

  /** Has a queue whose messages go to another one after `delay` milliseconds, with no message lost on the way. */
  async needWaitQueue(channel: Channel, queue: string, delay: number): Promise<void> {
    const name = waitQueueOf(queue, delay);
    await needed(`queue ${quote(name)}`, () =>
      channel.queueDeclare({
        queue: name,
        durable: true,
        passive: this.#options.topology === "check",
        arguments: {
          ...this.#replicated(),
          "x-message-ttl": delay,
          "x-expires": delay + waitQueueSlack,
          "x-dead-letter-exchange": "",
          "x-dead-letter-routing-key": queue,
          "x-dead-letter-strategy": "at-least-once",
          "x-overflow": "reject-publish",
        },
      }),
    );
  }

  /**
   * Makes sure that a name is not divided into partitions: a queue beside those would be given everything once more.
   *
   * @throws EventDriverError `ERR_TOPOLOGY`
   */
  async requireUndivided(place: Place): Promise<void> {
    if (await isDivided(this.#options.link, place)) throw divided(place);
  }

  /**
   * Takes a name for oneself, as long as the link is up or until {@link unlock}.
   *
   * @throws EventDriverError `ERR_SUBSCRIPTION_BUSY`
   */
  async lock(place: Place): Promise<void> {
    const { locks } = this.#options;
    const queue = queueOf(place.stream, place.name);
    if (!locks.has(queue) && !(await locks.take(queue))) throw busy(place);
  }

  /** Does nothing where there is no lock of ours. */
  unlock({ stream, name }: Place): Promise<void> {
    return this.#options.locks.free(queueOf(stream, name));
  }

  /**
   * Makes sure that no other connection has the name for itself.
   *
   * @throws EventDriverError `ERR_SUBSCRIPTION_BUSY`
   */
  async requireUnlocked(place: Place): Promise<void> {
    if (await this.#options.locks.areOthers(queueOf(place.stream, place.name))) throw busy(place);
  }

  /**
   * Makes sure that no other connection has the queue of a name as its only partition.
   *
   * @throws EventDriverError `ERR_SUBSCRIPTION_BUSY`
   */
  async requireUnheld(place: Place): Promise<void> {
    if (await this.#options.locks.areOthers(partitionOfQueue(queueOf(place.stream, place.name), 0))) throw busy(place);
  }

  /**
   * Removes a position: the queue where it is ours to remove, else what is in it.
   *
   * @throws EventDriverError `ERR_SUBSCRIPTION_BUSY` when somebody has the name
   */
  async forget(place: Place): Promise<void> {
    const queue = queueOf(place.stream, place.name);
    await this.lock(place);
    try {
      await this.#options.link.ask(async (channel) => {
        const { consumerCount } = await channel.queueDeclare({ queue, passive: true });
        if (consumerCount > 0) throw busy(place);
        if (this.#options.topology === "check") await channel.queuePurge({ queue });
        else await channel.queueDelete({ queue });
      });
    } catch (error) {
      // There is nothing to remove.
      if (codeOf(error) !== "NOT_FOUND") throw error;
    } finally {
      await this.unlock(place);
    }
  }

  /** Those of the queues of a name. */
  argumentsOf({ durable = true }: Place): QueueArguments {
    return {
      ...this.#replicated(),
      ...(this.#options.isOrdered && { "x-single-active-consumer": true }),
      ...(!durable && { "x-expires": abandoned }),
      ...this.#options.queueArguments,
    };
  }

  #replicated(): QueueArguments {
    const { replicas } = this.#options;
    return {
      "x-queue-type": "quorum",
      "x-delivery-limit": noLimit,
      ...(replicas !== undefined && { "x-quorum-initial-group-size": replicas }),
    };
  }
}

/** Whether a name is divided into partitions. */
export function isDivided(link: Link, { stream, name }: Place): Promise<boolean> {
  return isThere(link, membersOf(queueOf(stream, name)));
}

/** Whether there is a queue of that name. */
export async function isThere(link: Link, queue: string): Promise<boolean> {
  try {
    await link.ask((channel) => channel.queueDeclare({ queue, passive: true }));
    return true;
  } catch (error) {
    if (codeOf(error) === "NOT_FOUND") return false;
    throw error;
  }
}

/** Codes by which the broker says that it will not have what was asked for, now or later. */
const unfit = new Set(["ACCESS_REFUSED", "COMMAND_INVALID", "NOT_ALLOWED", "NOT_IMPLEMENTED", "PRECONDITION_FAILED", "RESOURCE_LOCKED"]);

export async function needed<Answer>(what: string, declare: () => Promise<Answer>): Promise<Answer> {
  try {
    return await declare();
  } catch (error) {
    const code = codeOf(error);
    if (code === "NOT_FOUND") throw topologyError(`${what} is missing; make it, or set topology to "create"`, error);
    if (unfit.has(code))
      throw topologyError(`${what} cannot be used as it is, or not by this user; its settings must be those of the README`, error);
    throw error;
  }
}

export function notConsumable({ stream, name }: Place, cause: unknown): EventDriverError {
  return topologyError(`queue ${quote(queueOf(stream, name))} cannot be consumed; the cause says why`, cause);
}

export function notRemoved({ stream, name }: Place, cause: unknown): EventDriverError {
  return topologyError(
    `queue ${quote(queueOf(stream, name))} was not removed and collects what is published; remove it, or subscribe and unsubscribe again`,
    cause,
  );
}

function divided({ stream, name }: Place): EventDriverError {
  return topologyError(
    `name ${quote(name)} of stream ${quote(stream)} is divided into partitions; set the option partitions as its other subscriptions do, or use another name`,
    undefined,
  );
}

export function topologyError(what: string, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_TOPOLOGY", { message: `RabbitMQ: ${what}`, retryable: true, cause });
}

export function busy({ stream, name }: Place, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_SUBSCRIPTION_BUSY", {
    message: `name ${quote(name)} of stream ${quote(stream)} has other subscriptions, and one of them all wants it alone; close the others or try again`,
    retryable: true,
    cause,
  });
}

/** Whether asking again may help: the link broke, or the broker is not ready. */
export function isPassing(error: unknown): boolean {
  return !isEventDriverError(error) && codeOf(error) !== "" && !unfit.has(codeOf(error));
}
