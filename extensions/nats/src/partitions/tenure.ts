import type { ConsumerInfo } from "@nats-io/jetstream";
import type { Clock } from "event-driver";

import { nanos } from "@nats-io/transport-node";

import type { Link } from "../link.ts";
import type { Lease } from "./leases.ts";

export interface TenureOptions {
  readonly partition: string;
  readonly lease: Lease;
  readonly link: Link;
  readonly clock: Clock;
  /** Whether the messages of a key must not overtake each other. */
  readonly isOrdered: boolean;
}

/** How many messages are given back before it is awaited that the broker has heard of them. */
const chunk = 1_000;
/** Milliseconds for the answer to the last of them. */
const patience = 10_000;

/** Takes a message out of those that are to be delivered again. */
const takeOut = `-NAK {"delay":${nanos(60_000)}}`;
/** Puts it behind those that are to be delivered again. */
const putBehind = "-NAK";
/** Changes nothing about those that are to be delivered again. */
const inProgress = "+WPI";

/**
 * The time for which a partition is one member's, and the order in which he is given its messages.
 *
 * The broker gives what was not settled to whoever asks, when its ack wait is over, and meanwhile what follows it. So who begins gives it back in the name of whoever
 * had it, and what does not follow the last delivery is not taken: then somebody else, who had asked when the partition was his, was given what comes before it.
 */
export class Tenure {
  readonly #options: TenureOptions;
  /** How many deliveries the position has had. */
  #delivered = 0;
  #isAstray = false;
  /** Those that we have given back for later, and when that is. */
  readonly #postponed = new Map<number, number>();

  constructor(options: TenureOptions) {
    this.#options = options;
  }

  get partition(): string {
    return this.#options.partition;
  }

  /** Epoch milliseconds until which nobody else can have it. */
  get endsAt(): number {
    return this.#options.lease.endsAt;
  }

  /** Whether a delivery is the one that follows the last one. When it is not, none is until {@link recover}. */
  isNext(delivery: number): boolean {
    if (!this.#options.isOrdered) return true;
    this.#isAstray ||= delivery !== this.#delivered + 1;
    if (!this.#isAstray) this.#delivered = delivery;
    return !this.#isAstray;
  }

  /** A message was given back, and is not to come before so many milliseconds. */
  postpone(sequence: number, delay: number): void {
    this.#postponed.set(sequence, this.#options.clock.now() + delay);
  }

  /** Has the broker deliver anew, in their order, what it has delivered and is not among `kept`. Without `info` the position has just been made. */
  async recover(info: ConsumerInfo | undefined, kept: ReadonlySet<number>): Promise<void> {
    const { link, clock, isOrdered } = this.#options;
    if (!isOrdered) return;
    for (const [sequence, until] of this.#postponed) if (until <= clock.now()) this.#postponed.delete(sequence);
    if (info !== undefined) await giveBack(link, info, new Set([...kept, ...this.#postponed.keys()]));
    this.#delivered = info?.delivered.consumer_seq ?? 0;
    this.#isAstray = false;
  }
}

/**
 * Gives back all that is not settled but what is kept, so that it comes again before what follows it, in the order of the stream and without an ack wait.
 *
 * The broker delivers again in the order in which it was asked to, and some may wait for that already: those are taken out first. It does not tell which messages
 * are not settled, so all of them are named from the first one to the last; it takes no notice of the others.
 */
async function giveBack(link: Link, info: ConsumerInfo, kept: ReadonlySet<number>): Promise<void> {
  const { stream_name: stream, name, delivered, ack_floor: settled, num_ack_pending: unsettled } = info;
  if (unsettled <= kept.size) return;
  // How often it was delivered, its sequence, the number of any delivery, when that was, and how many follow.
  const subjectOf = (sequence: number): string => `$JS.ACK.${stream}.${name}.1.${sequence}.${delivered.consumer_seq}.0.0`;
  for (const word of [takeOut, putBehind]) {
    for (let sequence = settled.stream_seq + 1; sequence <= delivered.stream_seq; sequence += 1) {
      if (!kept.has(sequence)) link.client.publish(subjectOf(sequence), word);
      if (sequence % chunk === 0) await link.flushed();
    }
  }
  // It hears one after another, so what it answers to the last one it has heard all of them.
  await link.answer(() => link.client.request(subjectOf(delivered.stream_seq), inProgress, { timeout: patience }));
}
