import type { ConsumerInfo } from "@nats-io/jetstream";

import { nanos } from "@nats-io/transport-node";

import type { Link } from "../link.ts";

/** The time for which a partition is one member's. */
export interface Tenure {
  readonly partition: string;
  /** Epoch milliseconds until which nobody else can have it. */
  readonly endsAt: number;
  /** Has the broker deliver anew, in their order, what it has delivered and is not among `kept`. Resolves to how many deliveries it has had. */
  recover(info: ConsumerInfo, kept: ReadonlySet<number>): Promise<number>;
}

/** How many messages are given back before it is awaited that the broker has heard of them. */
const chunk = 1_000;
/** Milliseconds for the answer to the last of them. */
const patience = 10_000;

/** Takes a message out of those that are to be delivered again. */
const later = `-NAK {"delay":${nanos(60_000)}}`;
/** Puts it behind those that are to be delivered again. */
const now = "-NAK";

/**
 * Gives back, in the name of whoever had the position before, all that is not settled, so that it comes again before what follows it, in the order of the stream
 * and without an ack wait.
 *
 * The broker delivers again in the order in which it was asked to, and some may wait for that already: those are taken out first. It does not tell which messages
 * are not settled, so all of them are named from the first one to the last; it takes no notice of the others. Only who has the position for himself may do this.
 */
export async function giveBackAll(link: Link, info: ConsumerInfo, kept: ReadonlySet<number>): Promise<void> {
  const { stream_name: stream, name, delivered, ack_floor: settled, num_ack_pending: unsettled } = info;
  if (unsettled <= kept.size) return;
  // The first number is how often it was delivered, the last ones when that was and what follows: nobody reads them. The fifth has to be that of any delivery.
  const subjectOf = (sequence: number): string => `$JS.ACK.${stream}.${name}.1.${sequence}.${delivered.consumer_seq}.0.0`;
  for (const word of [later, now]) {
    for (let sequence = settled.stream_seq + 1; sequence <= delivered.stream_seq; sequence += 1) {
      if (!kept.has(sequence)) link.client.publish(subjectOf(sequence), word);
      if (sequence % chunk === 0) await link.flushed();
    }
  }
  // The broker hears one after another, and answers the last.
  await link.answer(() => link.client.request(subjectOf(delivered.stream_seq), "+WPI", { timeout: patience }));
}
