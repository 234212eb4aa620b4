import type { RabbitmqNative } from "@event-driver/rabbitmq";
import type { Connection, Subscription } from "event-driver/streams";

import { createMessage, type Message } from "event-driver";
import { setTimeout } from "node:timers/promises";

/** One line of a journal that all members of a name write, and that the broker keeps in one order. */
export interface Line {
  readonly member: string;
  readonly what: "begins" | "has done" | "has lost";
  readonly key: string;
  /** Counted from 0 in each key. */
  readonly number: number;
}

/** The message of a key with a number. */
export function numbered(key: string, number: number): Message {
  return createMessage({ id: `${key}/${number}`, key, source: "shop", content: String(number) });
}

/**
 * Works on a stream and writes a journal of it. What a line says is at the broker before what follows it happens, so that the journals of several processes
 * are one.
 */
export function keepingJournal(
  member: string,
  { worker, writer }: Readonly<Record<"worker" | "writer", Connection<RabbitmqNative>>>,
  stream: string,
): Promise<Subscription> {
  const write = (what: Line["what"], key: string, number: number): Promise<string> => {
    const line: Line = { member, what, key, number };
    return writer.publish(journalOf(stream), createMessage({ key: "journal", source: member, content: JSON.stringify(line) }));
  };
  return worker.subscribe(
    stream,
    async ({ signal }, { key, content }) => {
      await write("begins", key, Number(content));
      await setTimeout(2);
      await write(signal.aborted ? "has lost" : "has done", key, Number(content));
      signal.throwIfAborted();
    },
    { concurrency: 8, maxInFlight: 40 },
  );
}

export function journalOf(stream: string): string {
  return `${stream}-journal`;
}

/** Where the order of a key was not kept: begun while another member, one that lives, worked on it, or before what is ahead of it was done. */
export function violations(journal: readonly Line[], isDead: (member: string) => boolean = () => false): readonly string[] {
  const found: string[] = [];
  const [workers, done] = [new Map<string, Set<string>>(), new Map<string, number>()];
  for (const { member, what, key, number } of journal) {
    const working = workers.get(key) ?? new Set();
    workers.set(key, working);
    const ahead = done.get(key) ?? 0;
    if (what === "begins") {
      const others = [...working].filter((other) => !isDead(other));
      if (others.length > 0) found.push(`${member} begins ${key}/${number} while ${others.join(" and ")} works on the key`);
      if (number > ahead) found.push(`${member} begins ${key}/${number} while ${key}/${ahead} is not done`);
      working.add(member);
    } else {
      working.delete(member);
      if (what === "has done") done.set(key, Math.max(ahead, number + 1));
    }
  }
  return found;
}
