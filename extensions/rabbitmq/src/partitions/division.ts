import type { Channel } from "rabbitmq-client";

import type { Link } from "../link.ts";
import type { Place, Topology } from "../topology.ts";

import { type EventDriverError, quote } from "event-driver";

import { codeOf } from "../link.ts";
import { exchangeOf, membersOf, partitionOfQueue, queueOf, slotsOf, straysOf } from "../names.ts";
import { slotKey, slots } from "../records.ts";
import { busy, isDivided, isThere, needed, topologyError } from "../topology.ts";

export interface DivisionOptions {
  readonly link: Link;
  readonly topology: Topology;
  readonly mode: "create" | "check";
  readonly partitions: number;
  readonly place: Place;
}

/** What there is of a name at the broker. */
export interface Parts {
  /** The queue of each partition. */
  readonly queues: readonly string[];
  /** The queue that its members consume to be counted; `undefined` where the name was made without partitions, so that one member works. */
  readonly members: string | undefined;
}

/**
 * How a name is divided into partitions at the broker.
 *
 * Records are routed by their slot. An exchange of the name's own, behind that of the stream, knows which queue has which slots, and gives what has no slot to the
 * first one. The queue of its members also keeps how many partitions there are: as its maximum length, which the broker lets nobody change.
 */
export class Division {
  readonly #options: DivisionOptions;
  readonly #queue: string;

  constructor(options: DivisionOptions) {
    this.#options = options;
    this.#queue = queueOf(options.place.stream, options.place.name);
  }

  /**
   * What there is, made where it is missing. With all of it, what is published from now on is kept.
   *
   * @throws EventDriverError `ERR_TOPOLOGY`
   */
  async need(): Promise<Parts> {
    const { link, mode, place } = this.#options;
    if (!(await isDivided(link, place)) && (await isThere(link, this.#queue))) return { queues: [this.#queue], members: undefined };
    await link.ask((channel) => (mode === "create" ? this.#make(channel) : this.#check(channel)));
    if (mode === "check") await this.#requireNoMore();
    return { queues: this.#queues, members: membersOf(this.#queue) };
  }

  /** How many messages wait in all of them. */
  async countWaiting(channel: Channel, { queues }: Parts): Promise<number> {
    const answers = await Promise.all(queues.map((queue) => channel.queueDeclare({ queue, passive: true })));
    return answers.reduce((sum, { messageCount }) => sum + messageCount, 0);
  }

  /**
   * Removes the position: all that was made for the name, or what is in its queues where that is not ours.
   *
   * @throws EventDriverError `ERR_SUBSCRIPTION_BUSY` when somebody has the name
   */
  async forget(): Promise<void> {
    const { link, topology, place } = this.#options;
    if (!(await isDivided(link, place))) return topology.forget(place);
    await topology.lock(place);
    try {
      await link.ask((channel) => this.#remove(channel));
    } catch (error) {
      // Somebody was faster.
      if (codeOf(error) !== "NOT_FOUND") throw error;
    } finally {
      await topology.unlock(place);
    }
  }

  get #queues(): readonly string[] {
    return Array.from({ length: this.#options.partitions }, (_, partition) => partitionOfQueue(this.#queue, partition));
  }

  /** The stream leads here when all else is there, so that nothing is routed to where nobody keeps it. */
  async #make(channel: Channel): Promise<void> {
    const { topology, partitions, place } = this.#options;
    const [stream, toSlots, toStrays] = [exchangeOf(place.stream), slotsOf(this.#queue), straysOf(this.#queue)];
    const durable = true;
    const what = `name ${quote(place.name)} of stream ${quote(place.stream)} with ${partitions} partitions`;
    await topology.needStream(channel, place.stream);
    await this.#agree(channel);
    await needed(what, async () => {
      await channel.exchangeDeclare({ exchange: toStrays, type: "fanout", durable });
      await channel.exchangeDeclare({ exchange: toSlots, type: "direct", durable, arguments: { "alternate-exchange": toStrays } });
      for (const queue of this.#queues) await channel.queueDeclare({ queue, durable, arguments: topology.argumentsOf(place) });
      await channel.queueBind({ queue: partitionOfQueue(this.#queue, 0), exchange: toStrays, routingKey: "" });
      // Sent together, for it is many.
      await Promise.all(
        Array.from({ length: slots }, (_, slot) =>
          channel.queueBind({ queue: partitionOfQueue(this.#queue, slot % partitions), exchange: toSlots, routingKey: slotKey(slot) }),
        ),
      );
      await channel.exchangeBind({ destination: toSlots, source: stream, routingKey: "" });
    });
  }

  async #agree(channel: Channel): Promise<void> {
    const { topology, partitions, place } = this.#options;
    try {
      await channel.queueDeclare({
        queue: membersOf(this.#queue),
        durable: true,
        arguments: { ...topology.argumentsOf(place), "x-max-length": partitions },
      });
    } catch (error) {
      throw codeOf(error) === "PRECONDITION_FAILED" ? this.#otherwise(error) : error;
    }
  }

  async #check(channel: Channel): Promise<void> {
    const { topology, place } = this.#options;
    await topology.needStream(channel, place.stream);
    for (const queue of [membersOf(this.#queue), ...this.#queues])
      await needed(`queue ${quote(queue)}`, () => channel.queueDeclare({ queue, durable: true, passive: true }));
  }

  async #requireNoMore(): Promise<void> {
    const { link, partitions } = this.#options;
    if (await isThere(link, partitionOfQueue(this.#queue, partitions))) throw this.#otherwise();
  }

  async #remove(channel: Channel): Promise<void> {
    const { mode, place } = this.#options;
    const { consumerCount } = await channel.queueDeclare({ queue: membersOf(this.#queue), passive: true });
    if (consumerCount > 0) throw busy(place);
    if (mode === "check") {
      for (const queue of this.#queues) await channel.queuePurge({ queue });
      return;
    }
    // Nothing is routed any more before its queue goes. The members' queue, which says that the name is there, goes last.
    for (const exchange of [slotsOf(this.#queue), straysOf(this.#queue)]) await channel.exchangeDelete({ exchange });
    for (const queue of [...this.#queues, membersOf(this.#queue)]) await channel.queueDelete({ queue });
  }

  #otherwise(cause?: unknown): EventDriverError {
    const { stream, name } = this.#options.place;
    return topologyError(
      `name ${quote(name)} of stream ${quote(stream)} is there with another number of partitions than ${this.#options.partitions}, or other arguments; ` +
        "set the option partitions as it is there, or use another name, or unsubscribe the name where it is done with what waits",
      cause,
    );
  }
}
