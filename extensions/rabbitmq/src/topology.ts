import type { SubscribeRequest } from "event-driver/streams";
import type { Channel } from "rabbitmq-client";

import { EventDriverError, isEventDriverError, quote } from "event-driver";

import { codeOf, type Link } from "./link.ts";
import { exchangeOf, lockOf, queueOf, waitQueueOf } from "./names.ts";

/** What only RabbitMQ has. */
export interface RabbitmqNative {
  /**
   * Who is served first of those who have room: the higher, the sooner.
   * @default 0
   */
  readonly priority?: number;
}

export interface TopologyOptions {
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
  /** The queues that this connection has taken for itself. */
  readonly #locked = new Set<string>();

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
      channel.queueDeclare({ queue, durable: true, passive, arguments: this.#argumentsOf(place) }),
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
   * Takes a queue for oneself, as long as the link is up or until {@link unlock}. Quorum queues know no exclusive consumers, so a queue that belongs to the
   * connection stands for that.
   *
   * @throws EventDriverError `ERR_SUBSCRIPTION_BUSY`
   */
  async lock(link: Link, place: Place): Promise<void> {
    const queue = queueOf(place.stream, place.name);
    try {
      await link.ask((channel) => channel.queueDeclare({ queue: lockOf(queue), exclusive: true }));
    } catch (error) {
      throw codeOf(error) === "RESOURCE_LOCKED" ? busy(place, error) : error;
    }
    this.#locked.add(queue);
  }

  /** Does nothing where there is no lock of ours. */
  async unlock(link: Link, place: Place): Promise<void> {
    const queue = queueOf(place.stream, place.name);
    if (!this.#locked.delete(queue)) return;
    await link.ask((channel) => channel.queueDelete({ queue: lockOf(queue) }));
  }

  /**
   * Makes sure that no other connection has the queue for itself.
   *
   * @throws EventDriverError `ERR_SUBSCRIPTION_BUSY`
   */
  async requireUnlocked(link: Link, place: Place): Promise<void> {
    try {
      await link.ask((channel) => channel.queueDeclare({ queue: lockOf(queueOf(place.stream, place.name)), passive: true }));
    } catch (error) {
      if (codeOf(error) === "RESOURCE_LOCKED") throw busy(place, error);
      if (codeOf(error) !== "NOT_FOUND") throw error;
    }
  }

  /**
   * Removes a position: the queue where it is ours to remove, else what is in it.
   *
   * @throws EventDriverError `ERR_SUBSCRIPTION_BUSY` when somebody has the name
   */
  async forget(link: Link, place: Place): Promise<void> {
    const queue = queueOf(place.stream, place.name);
    await this.lock(link, place);
    try {
      await link.ask(async (channel) => {
        const { consumerCount } = await channel.queueDeclare({ queue, passive: true });
        if (consumerCount > 0) throw busy(place);
        if (this.#options.topology === "check") await channel.queuePurge({ queue });
        else await channel.queueDelete({ queue });
      });
    } catch (error) {
      // There is nothing to remove.
      if (codeOf(error) !== "NOT_FOUND") throw error;
    } finally {
      await this.unlock(link, place);
    }
  }

  #argumentsOf({ durable = true }: Place): QueueArguments {
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

/** Codes by which the broker says that it will not have what was asked for, now or later. */
const unfit = new Set(["ACCESS_REFUSED", "COMMAND_INVALID", "NOT_ALLOWED", "NOT_IMPLEMENTED", "PRECONDITION_FAILED", "RESOURCE_LOCKED"]);

async function needed<Answer>(what: string, declare: () => Promise<Answer>): Promise<Answer> {
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

function topologyError(what: string, cause: unknown): EventDriverError {
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
