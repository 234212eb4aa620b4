import type { Connection } from "event-driver/streams";

import { identityOf } from "event-driver";
import {
  type DeadLetter,
  type DeadLetterFilter,
  type DeadLetters,
  deadLetters,
  deadLetterStream,
  type ParkedKeys,
  parkedKeys,
  type RedriveOptions,
  type RedriveReport,
  type RedriveTarget,
} from "event-driver/dead-letters";

import type { Opened } from "./open.ts";

import { Usage } from "./usage.ts";

/** Where dead letters are, as the command line says it. */
export interface Place {
  readonly stream?: string;
  readonly name?: string;
  readonly scope?: string;
  readonly to?: string;
  readonly idle?: number;
}

/** Dead letters of a stream or of a store: what the commands need of either. */
export interface Letters {
  read(where: DeadLetterFilter, signal: AbortSignal): AsyncIterable<{ readonly letter: DeadLetter; readonly remove: () => Promise<void> }>;
  requeue(options: RedriveOptions): Promise<RedriveReport>;
  /** Gives up the places in the queue of a key that nothing is left of, and says whose they were. */
  giveUpMissing(key: string): Promise<readonly string[]>;
}

/** @throws Usage when the command line does not say where they are */
export function lettersOf(opened: Opened, place: Place): Letters {
  const { connection, store } = opened;
  if (place.stream !== undefined) {
    if (connection === undefined) throw new Usage("--stream needs the broker that it is at: give --connection or --config");
    return lettersOfStream(connection, opened, place, place.stream);
  }
  if (store === undefined) throw new Usage("say where the dead letters are: --connection URL --stream NAME, or --store sqlite:FILE");
  const parked = opened.parked ?? (store.features.compareAndSet ? parkedKeys({ store }) : undefined);
  return lettersOfStore(deadLetters(store, place.scope, parked), parked, () => targetOf(opened, place));
}

function lettersOfStream(connection: Connection, { store, parked }: Opened, { name, to, idle }: Place, stream: string): Letters {
  const queues = parked ?? (store && parkedKeys({ store }));
  const letters = deadLetterStream(connection, {
    stream,
    ...(name !== undefined && { name }),
    ...(idle !== undefined && { idle }),
    ...(queues !== undefined && { parked: queues }),
  });
  return {
    read: (where, signal) => letters.read({ where, signal }),
    requeue: (options) => letters.redrive({ ...options, ...(to !== undefined && { to }) }),
    giveUpMissing: async () => {
      throw new Usage("--missing is for dead letters in a store: a stream does not say what it no longer has");
    },
  };
}

function lettersOfStore(letters: DeadLetters, parked: ParkedKeys | undefined, target: () => RedriveTarget): Letters {
  return {
    async *read(where, signal) {
      for (let after: DeadLetter | undefined; !signal.aborted;) {
        const page = await letters.list({ after });
        for (const letter of page) if (selects(where, letter)) yield { letter, remove: () => letters.remove(letter) };
        after = page.at(-1);
        if (after === undefined) return;
      }
    },
    requeue: (options) => letters.redrive(target(), options),
    async giveUpMissing(key) {
      const found = new Set<string>();
      for (let after: DeadLetter | undefined; ;) {
        const page = await letters.list({ after });
        for (const { message } of page) if (message.key === key) found.add(identityOf(message));
        after = page.at(-1);
        if (after === undefined) break;
      }
      const missing = ((await parked?.get(key))?.waiting ?? []).filter((identity) => !found.has(identity));
      for (const identity of missing) await parked?.skip(key, identity);
      return missing;
    },
  };
}

function targetOf({ connection, pipeline }: Opened, { to }: Place): RedriveTarget {
  if (to !== undefined) {
    if (connection === undefined) throw new Usage("--to needs the broker that the stream is at: give --connection or --config");
    return { connection, stream: to };
  }
  if (pipeline !== undefined) return pipeline;
  throw new Usage("say where they go: --connection URL --to STREAM, or --config with a file that exports the pipeline");
}

function selects({ key, source, code, since, until }: DeadLetterFilter, { message, failure, lastFailedAt }: DeadLetter): boolean {
  return (
    (key === undefined || message.key === key) &&
    (source === undefined || message.source === source) &&
    (code === undefined || failure.code === code) &&
    (since === undefined || lastFailedAt >= since.getTime()) &&
    (until === undefined || lastFailedAt < until.getTime())
  );
}
