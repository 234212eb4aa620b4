import type { NatsNative } from "@event-driver/nats";
import type { Connection, Subscription } from "event-driver/streams";

import { createMessage } from "event-driver";
import { setTimeout } from "node:timers/promises";

/** What a member has done, in the one order in which the broker was told. */
export interface Entry {
  readonly member: string;
  readonly what: "begins" | "ends" | "stops";
  readonly key: string;
  readonly id: string;
}

export interface WorkOptions {
  readonly member: string;
  readonly connection: Connection<NatsNative>;
  /** Another connection, over which it is written down what is done. */
  readonly journal: Connection<NatsNative>;
  readonly stream: string;
  readonly log: string;
}

/** Subscribes, and takes some milliseconds for each message, between two entries that the broker has confirmed. */
export function workOn({ member, connection, journal, stream, log }: WorkOptions): Promise<Subscription> {
  const write = async (what: Entry["what"], key: string, id: string): Promise<void> => {
    const entry: Entry = { member, what, key, id };
    await journal.publish(log, createMessage({ key, source: member, content: JSON.stringify(entry) }));
  };
  return connection.subscribe(
    stream,
    async ({ signal }, { key, id }) => {
      await write("begins", key, id);
      await setTimeout(3);
      // What it is told to stop is not done.
      await write(signal.aborted ? "stops" : "ends", key, id);
      signal.throwIfAborted();
    },
    { timeout: 5_000, maxInFlight: 64, concurrency: 8 },
  );
}

/**
 * What is wrong with the order of each key: a message that begins before the one ahead of it has ended, or while a member that lives works on the key. Ids are
 * numbers, counted from 0 in each key.
 */
export function disorder(entries: readonly Entry[], dead: ReadonlySet<string> = new Set()): readonly string[] {
  const problems: string[] = [];
  for (const [key, sameKey] of Map.groupBy(entries, (entry) => entry.key)) {
    const busy = new Map<string, string>();
    let done = -1;
    for (const { member, what, id } of sameKey) {
      if (what === "begins") {
        const others = [...busy].filter(([other]) => other === member || !dead.has(other));
        if (others.length > 0) problems.push(`${key}: ${member} begins ${id} while ${others.join(" and ")}`);
        if (Number(id) > done + 1) problems.push(`${key}: ${member} begins ${id}, and only ${done} has ended`);
        busy.set(member, id);
      } else {
        busy.delete(member);
        if (what === "ends") done = Math.max(done, Number(id));
      }
    }
  }
  return problems;
}
