import type { Standing } from "event-driver/streams";
import type { Channel } from "rabbitmq-client";

import type { Link } from "../link.ts";
import type { Locks } from "../locks.ts";
import type { Place, Topology } from "../topology.ts";
import type { Division, Parts } from "./division.ts";

import { EventDriverError, quote } from "event-driver";

import { queueOf, seatOf } from "../names.ts";

export interface MembershipOptions {
  readonly link: Link;
  readonly locks: Locks;
  readonly topology: Topology;
  readonly division: Division;
  readonly place: Place;
}

/** One member of a name with partitions, as the others count it: it consumes a queue to which nothing comes, and has a seat that gives it its rank. */
export class Membership {
  readonly #options: MembershipOptions;
  readonly #queue: string;
  #channel: Channel | undefined;
  #consumerTag = "";
  #parts: Parts | undefined;
  #joining: Promise<Parts> | undefined;
  #hasLeft = false;
  #seat: number | undefined;
  #fairShare = 1;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#queue = queueOf(options.place.stream, options.place.name);
  }

  /**
   * What there is of the name, now that this member is counted. Joins again when the connection has been lost.
   *
   * @throws EventDriverError `ERR_TOPOLOGY`, `ERR_SUBSCRIPTION_BUSY`
   */
  async join(): Promise<Parts> {
    if (this.#parts !== undefined && this.#channel?.active) return this.#parts;
    // Once at a time, or it would be counted twice.
    return (this.#joining ??= this.#join().finally(() => (this.#joining = undefined)));
  }

  async #join(): Promise<Parts> {
    const { link, topology, division, place } = this.#options;
    const parts = await division.need();
    const channel = await link.channel();
    try {
      this.#requirePresent();
      // First counted and looking for a lock then, where who wants the name alone locks it first and counts then.
      if (parts.members !== undefined) {
        const { consumerTag } = await link.answered(channel.basicConsume({ queue: parts.members }, () => {}));
        this.#consumerTag = consumerTag;
      }
      channel.once("basic.cancel", () => void channel.close());
      await topology.requireUnlocked(place);
      this.#requirePresent();
    } catch (error) {
      void channel.close();
      throw error;
    }
    this.#channel = channel;
    this.#parts = parts;
    return parts;
  }

  /** How many partitions each member should have at most, when it was last asked how it stands. */
  get fairShare(): number {
    return this.#fairShare;
  }

  async standing(): Promise<Standing> {
    const { link } = this.#options;
    const { queues, members } = await this.join();
    // Nobody can be counted where the name was made without partitions: all want its one queue, and one has it.
    if (members === undefined || this.#channel === undefined) return { members: 1, rank: 0 };
    const { consumerCount } = await link.answered(this.#channel.queueDeclare({ queue: members, passive: true }));
    this.#fairShare = Math.ceil(queues.length / Math.max(1, consumerCount));
    return { members: consumerCount, rank: await this.#rankAmong(consumerCount, queues.length) };
  }

  /** Asks how many messages wait for the name. */
  async countWaiting(): Promise<number> {
    const parts = await this.join();
    return this.#channel === undefined ? 0 : this.#options.division.countWaiting(this.#channel, parts);
  }

  /** When it has resolved, it is no longer counted, and will not be, whatever is still asked. */
  async leave(): Promise<void> {
    const { link, locks } = this.#options;
    this.#hasLeft = true;
    if (!link.isUp) return;
    if (this.#channel?.active) {
      // The broker forgets the consumers of a channel only some time after it has closed that.
      await link.answered(this.#channel.basicCancel(this.#consumerTag));
      await this.#channel.close();
    }
    if (this.#seat !== undefined) await locks.free(seatOf(this.#queue, this.#seat));
  }

  /** Seats are as many as members, so who has none, or one beyond, finds one free. They matter where the partitions do not come out even. */
  async #rankAmong(members: number, partitions: number): Promise<number> {
    const { locks } = this.#options;
    const seat = this.#seat;
    const hasSeat = seat !== undefined && locks.has(seatOf(this.#queue, seat));
    if (partitions % members === 0) return 0;
    if (hasSeat && seat < members) return seat;
    for (let free = 0; free < members; free += 1) {
      if (this.#hasLeft || !(await locks.take(seatOf(this.#queue, free)))) continue;
      if (this.#hasLeft) await locks.free(seatOf(this.#queue, free));
      this.#seat = free;
      if (hasSeat) await locks.free(seatOf(this.#queue, seat));
      return free;
    }
    return members;
  }

  #requirePresent(): void {
    const { name } = this.#options.place;
    if (!this.#hasLeft) return;
    throw new EventDriverError("ERR_CONNECTION_CLOSED", {
      message: `a member of name ${quote(name)} has left; subscribe again`,
      retryable: true,
    });
  }
}
