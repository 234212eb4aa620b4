import type { DeadLetter } from "../handlers/dead-letter/entry.ts";
import type { Connection, PullDelivery, PullSubscription } from "../streams/connection.ts";

import { type Clock } from "../clock.ts";
import { asLetter } from "./stream-letter.ts";

export interface ReadStreamOptions {
  readonly stream: string;
  readonly name: string;
  /** Milliseconds without anything new after which it is at the end. */
  readonly idle: number;
  /** How many may be unsettled. */
  readonly window: number;
  readonly clock: Clock;
  readonly signal: AbortSignal | undefined;
}

/** A dead letter as it stands in its stream. What is not removed is there again afterwards. */
export interface FoundLetter {
  readonly letter: DeadLetter;
  readonly remove: () => Promise<void>;
}

/** Milliseconds between two extensions of what is held: a third of the shortest ack wait that a broker has by default. */
const extendEvery = 10_000;

/**
 * Reads a dead-letter stream to its end under a name whose position it keeps: what was removed under the name does not come again.
 *
 * Nothing is given back before the end, for it would be delivered again at once. So it holds up to `window` dead letters that are not removed, and
 * ends there.
 */
export async function* readStream(connection: Connection, options: ReadStreamOptions): AsyncGenerator<FoundLetter> {
  const { stream, name, window, clock, signal } = options;
  if (signal?.aborted) return;
  const backfill = connection.features.backfill.includes("all");
  const subscription = await connection.pull(stream, { name, backfill, maxInFlight: window });
  const deliveries = subscription[Symbol.asyncIterator]();
  const held = new Set<PullDelivery>();
  const seen = new Set<string>();
  const stopExtending = extendRegularly(held, clock);
  let next: Promise<IteratorResult<PullDelivery>> | undefined;
  try {
    while (held.size < window) {
      next = deliveries.next();
      const result = await within(next, options);
      if (result === undefined || result.done) return;
      next = undefined;
      const delivery = result.value;
      const letter = asLetter(delivery);
      held.add(delivery);
      // It was lost to us and came again: the stream has begun anew.
      if (seen.has(letter.revision)) return;
      seen.add(letter.revision);
      yield {
        letter,
        remove: async () => {
          await delivery.ack();
          held.delete(delivery);
        },
      };
    }
  } finally {
    stopExtending();
    await leave(subscription, held, next);
  }
}

/** `undefined` when it takes longer, or the signal aborts. */
function within<Value>(happening: Promise<Value>, { clock, idle, signal }: ReadStreamOptions): Promise<Value | undefined> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => resolve(undefined);
    const cancel = clock.after(idle, giveUp);
    signal?.addEventListener("abort", giveUp, { once: true });
    if (signal?.aborted) giveUp();
    happening.then(resolve, reject).finally(() => {
      cancel();
      signal?.removeEventListener("abort", giveUp);
    });
  });
}

/** Nothing more is delivered when what was held is given back: it would only come again. */
async function leave(
  subscription: PullSubscription,
  held: ReadonlySet<PullDelivery>,
  next: Promise<IteratorResult<PullDelivery>> | undefined,
): Promise<void> {
  const closed = subscription.close();
  const late = await next;
  if (late?.done === false) await late.value.nack();
  for (const delivery of held) await delivery.nack();
  await closed;
}

function extendRegularly(held: ReadonlySet<PullDelivery>, clock: Clock): () => void {
  let cancel = (): void => {};
  const arm = (): void => {
    cancel = clock.after(extendEvery, () => {
      // One that cannot be extended comes again, and ends the reading: nothing is lost by it.
      void Promise.allSettled(Array.from(held, (delivery) => delivery.extend()));
      arm();
    });
  };
  arm();
  return () => cancel();
}
