import type { Message } from "../../src/message.ts";
import type { EventStore, Revision, StoredMessage } from "../../src/stores/event-store.ts";

/** A write that has landed. */
export interface BucketWrite {
  /** The very object that was sent: no two writes share one, so it tells whose it was, as the token of a real write does. */
  readonly sent: Message;
  /** What it replaced. */
  readonly over: Revision | undefined;
}

/** The answer to a change that comes within a second of the one before: nothing was done. */
export class TooManyWrites extends Error {}

/** Milliseconds from one change of an object to the next that is taken. */
export const writeInterval = 1_000;

/**
 * The service behind a bucket: one change a second of each object, and a clock whose times are cut off to the second.
 *
 * What it stores, and compares, is another store's.
 */
export class BucketService {
  /** Epoch milliseconds on its clock. */
  readonly now: () => number;
  readonly #changedAt = new Map<string, number>();
  readonly #writes = new Map<string, BucketWrite>();
  readonly #tokens = new Map<Message, string>();

  constructor(now: () => number) {
    this.now = now;
  }

  /** The store with the limits of a bucket. */
  limit(inner: EventStore, path: readonly string[] = []): EventStore {
    const seen = (stored: StoredMessage | undefined): StoredMessage | undefined => stored && cutOff(stored);
    return {
      ...inner,
      features: { compareAndSet: true, clock: true },
      persist: async (message, options = {}) => {
        const name = nameOf(path, message.key, message.source);
        const revision = await this.#change(name, () => inner.persist(message, options));
        this.#writes.set(`${name}${revision}`, { sent: message, over: options.expected });
        return revision;
      },
      remove: (key, source, options) => this.#change(nameOf(path, key, source), () => inner.remove(key, source, options)),
      lookUp: async (key, source) => seen(await inner.lookUp(key, source)),
      lookUpByKey: async (key) => (await inner.lookUpByKey(key)).map(cutOff),
      scope: (name) => this.limit(inner.scope(name), [...path, name]),
    };
  }

  /** The write that made a revision. */
  writeOf(path: readonly string[], { message, revision }: StoredMessage): BucketWrite | undefined {
    return this.#writes.get(`${nameOf(path, message.key, message.source)}${revision}`);
  }

  /** What a write can be named by. */
  tokenOf(sent: Message): string {
    const token = this.#tokens.get(sent) ?? `write-${this.#tokens.size}`;
    this.#tokens.set(sent, token);
    return token;
  }

  async #change<Result>(name: string, change: () => Promise<Result>): Promise<Result> {
    const now = this.now();
    if (now - (this.#changedAt.get(name) ?? -Infinity) < writeInterval)
      throw new TooManyWrites(`${name} was changed within the last second`);
    const result = await change();
    this.#changedAt.set(name, now);
    return result;
  }
}

/** A lease that is counted between the two times must not look older than it is. */
function cutOff(stored: StoredMessage): StoredMessage {
  const storedAt = toSecond(stored.storedAt ?? 0) + 999;
  return { ...stored, storedAt, readAt: Math.max(toSecond(stored.readAt ?? 0), storedAt) };
}

function toSecond(time: number): number {
  return Math.floor(time / 1_000) * 1_000;
}

function nameOf(path: readonly string[], key: string, source: string): string {
  return JSON.stringify([...path, key, source]);
}
