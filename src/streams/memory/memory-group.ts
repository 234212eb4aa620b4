import type { Clock } from "../../clock.ts";
import type { Handover, SubscribeRequest, Sink } from "../transport.ts";
import type { MemoryStream, StreamReader, StreamRecord } from "./memory-stream.ts";

import { EventDriverError, quote } from "../../errors.ts";
import { copied } from "./memory-stream.ts";

export interface MemoryGroupOptions {
  readonly stream: MemoryStream;
  readonly clock: Clock;
  /** The position it begins with. */
  readonly start: number;
  readonly durable: boolean;
  readonly onForgotten: () => void;
}

/** One subscription in a group. */
export interface Member {
  readonly request: Pick<SubscribeRequest<unknown>, "ackWait" | "maxInFlight" | "exclusive">;
  readonly sink: Sink;
  /** What it has and has not settled. */
  readonly flights: Set<Flight>;
  isStopped: boolean;
}

/** A record that is not done, and how often it was delivered. */
interface Entry {
  readonly record: StreamRecord;
  attempts: number;
}

/** One delivery that is not settled. */
interface Flight {
  readonly entry: Entry;
  readonly member: Member;
  handover: Handover | undefined;
  cancelAckWait: () => void;
}

/** Behind so many messages that cannot be delivered yet, because their key is being worked on elsewhere, no more are looked at. */
const lookAhead = 1_000;

/**
 * A position in a stream, and the subscriptions that share it.
 *
 * A key that a member has unsettled messages of belongs to that member: so it stays in order over all members.
 */
export class MemoryGroup implements StreamReader {
  readonly #options: MemoryGroupOptions;
  readonly #members = new Set<Member>();
  /** Whose each key is, while it has unsettled messages, and how many. */
  readonly #owners = new Map<string, { readonly member: Member; flights: number }>();
  /** What can be delivered before what the cursor is at, by position. */
  #ready: Entry[] = [];
  readonly #delayed = new Set<Entry>();
  #cursor: number;
  #isAwake = false;

  constructor(options: MemoryGroupOptions) {
    this.#options = options;
    this.#cursor = options.start;
  }

  get members(): number {
    return this.#members.size;
  }

  get isExclusive(): boolean {
    return [...this.#members].some(({ request }) => request.exclusive);
  }

  get firstNeeded(): number {
    const flights = [...this.#members].flatMap((member) => [...member.flights]).map(({ entry }) => entry);
    return Math.min(this.#cursor, ...[...this.#ready, ...this.#delayed, ...flights].map(({ record }) => record.position));
  }

  join(request: Member["request"], sink: Sink): Member {
    const member: Member = { request, sink, flights: new Set(), isStopped: false };
    this.#members.add(member);
    this.wake();
    return member;
  }

  /** What it has not settled belongs to the others again. */
  leave(member: Member, { forget }: { readonly forget: boolean }): void {
    if (!this.#members.delete(member)) return;
    member.isStopped = true;
    for (const flight of member.flights) this.#lose(flight, "its subscription has left");
    if (this.#members.size === 0 && (forget || !this.#options.durable)) this.#options.onForgotten();
  }

  /** Delivers what can be, as soon as whoever calls has finished. */
  wake(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    queueMicrotask(() => {
      this.#isAwake = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    const free = new Set([...this.#members].filter(hasRoom));
    const blocked: Entry[] = [];
    // Whoever is handed something may leave at once, and then puts back what it had.
    const ready = this.#ready;
    this.#ready = [];
    let next = 0;
    for (; next < ready.length && free.size > 0; next += 1) {
      const entry = ready[next];
      if (entry !== undefined && !this.#deliverOne(entry, free)) blocked.push(entry);
    }
    const back = this.#ready;
    this.#ready = [...blocked, ...ready.slice(next)];
    for (const entry of back) this.#putBack(entry);
    while (free.size > 0 && this.#ready.length < lookAhead) {
      const record = this.#options.stream.from(this.#cursor);
      if (record === undefined) return;
      this.#cursor = record.position + 1;
      const entry = { record, attempts: 0 };
      if (!this.#deliverOne(entry, free)) this.#ready.push(entry);
    }
  }

  /** `false` when the message has to wait for its key. */
  #deliverOne(entry: Entry, free: Set<Member>): boolean {
    const { message, expiresAt } = entry.record;
    if (expiresAt <= this.#options.clock.now()) return true;
    const owner = this.#owners.get(message.key);
    const [longestFree] = free;
    const member = owner === undefined ? longestFree : owner.member;
    if (member === undefined || !free.has(member)) return false;
    if (!hasRoom(member)) {
      free.delete(member);
      return this.#deliverOne(entry, free);
    }
    this.#hand(entry, member);
    // Members take turns: who got one goes to the end, for the next message and for the next time.
    free.delete(member);
    if (hasRoom(member)) free.add(member);
    if (this.#members.delete(member)) this.#members.add(member);
    return true;
  }

  #hand(entry: Entry, member: Member): void {
    const { record } = entry;
    const { key } = record.message;
    const { ackWait } = member.request;
    const flight: Flight = { entry, member, handover: undefined, cancelAckWait: () => {} };
    const owner = this.#owners.get(key) ?? { member, flights: 0 };
    owner.flights += 1;
    this.#owners.set(key, owner);
    entry.attempts += 1;
    member.flights.add(flight);
    this.#startAckWait(flight);
    flight.handover = member.sink.deliver({
      message: copied(record.message),
      position: String(record.position),
      attempt: entry.attempts,
      publishedAt: record.publishedAt,
      ackTime: ackWait === undefined ? undefined : this.#options.clock.now() + ackWait,
      ack: async () => {
        if (this.#land(flight)) this.#options.stream.settled();
      },
      release: async ({ delay }) => this.#release(flight, delay),
      extend: async () => {
        if (member.flights.has(flight)) this.#startAckWait(flight);
      },
    });
  }

  #startAckWait(flight: Flight): void {
    const { ackWait } = flight.member.request;
    flight.cancelAckWait();
    if (ackWait !== undefined) flight.cancelAckWait = this.#options.clock.after(ackWait, () => this.#lose(flight, "its ack wait is over"));
  }

  /** Takes the delivery from its member; `false` when it was settled before. */
  #land(flight: Flight): boolean {
    const { entry, member } = flight;
    if (!member.flights.delete(flight)) return false;
    flight.cancelAckWait();
    const { key } = entry.record.message;
    const owner = this.#owners.get(key);
    if (owner !== undefined) {
      owner.flights -= 1;
      if (owner.flights === 0) this.#owners.delete(key);
    }
    this.wake();
    return true;
  }

  #release(flight: Flight, delay: number): void {
    if (!this.#land(flight)) return;
    const { entry } = flight;
    if (delay <= 0) return this.#putBack(entry);
    this.#delayed.add(entry);
    this.#options.clock.after(delay, () => {
      this.#delayed.delete(entry);
      this.#putBack(entry);
    });
  }

  #lose(flight: Flight, why: string): void {
    if (!this.#land(flight)) return;
    this.#putBack(flight.entry);
    flight.handover?.revoke(
      new EventDriverError("ERR_DELIVERY_LOST", {
        message: `message ${quote(flight.entry.record.message.id)} is no longer this subscription's: ${why}; it is delivered again`,
        retryable: true,
      }),
    );
  }

  #putBack(entry: Entry): void {
    const behind = this.#ready.findIndex(({ record }) => record.position > entry.record.position);
    this.#ready.splice(behind === -1 ? this.#ready.length : behind, 0, entry);
    this.wake();
  }
}

function hasRoom({ isStopped, flights, request }: Member): boolean {
  return !isStopped && flights.size < request.maxInFlight;
}
