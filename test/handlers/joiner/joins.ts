import type { ClaimContext } from "../../../src/claims/guard.ts";
import type { Context, ContextOptions } from "../../../src/context.ts";
import type { Message } from "../../../src/message.ts";
import type { SweepReport } from "../../../src/pipeline/handler.ts";
import type { EventStore } from "../../../src/stores/event-store.ts";

import { createContext } from "../../../src/context.ts";
import { matchAll } from "../../../src/handlers/joiner/condition.ts";
import { joiner, type JoinerOptions } from "../../../src/handlers/joiner/joiner.ts";
import { pipeline, type Processor } from "../../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { virtualClock, type VirtualClock } from "../../../src/testing/virtual-clock.ts";
import { type Delivery, deliver } from "../../claims/deliver.ts";
import { type Worker, workerOn } from "../../claims/worker.ts";

export interface Setting {
  readonly clock: VirtualClock;
  /** Shared by all the processes of a test. */
  readonly store: EventStore;
}

/** Noon of an ordinary day, so that due times look like due times. */
export const noon: number = Date.parse("2024-05-01T12:00:00Z");

export function setUp(): Setting {
  const clock = virtualClock({ now: noon });
  return { clock, store: memoryEventStore({ clock }) };
}

export type Handle = (ctx: Context & ClaimContext, message: Message) => Promise<void> | void;

/** One process that joins `event1` and `event2`, unless told otherwise, and hands on to `handle`. */
export interface JoinProcess extends Worker {
  /** What reached the stage behind the joiner, also where that then failed. */
  readonly emitted: readonly Message[];
  deliver(message: Message, options?: Omit<ContextOptions, "clock" | "onReply" | "onEnded">): Promise<Delivery>;
  sweep(options?: Omit<ContextOptions, "clock">): Promise<SweepReport>;
}

export function joinOn({ clock, store }: Setting, options: Partial<JoinerOptions> = {}, handle: Handle = () => {}): JoinProcess {
  const worker = workerOn(store);
  const emitted: Message[] = [];
  const orders: Processor = pipeline()
    .use(joiner({ store: worker.store, condition: matchAll("event1", "event2"), ...options }))
    .use(async (ctx, message) => {
      emitted.push(message);
      await handle(ctx, message);
    });
  return {
    ...worker,
    emitted,
    deliver: (message, contextOptions) => deliver(orders, clock, message, contextOptions),
    sweep: (contextOptions) => orders.sweep(createContext({ ...contextOptions, clock })),
  };
}

/** The names of all entries under a key, the joiner's own included, sorted. */
export async function entriesOf(store: EventStore, key = "order-1", scope = "joiner"): Promise<readonly string[]> {
  return [...(await store.scope(scope).listSourcesByKey(key))].sort();
}

/** One of several processes, for tests that spread messages over them. */
export function oneOf<Item>(items: readonly [Item, ...(readonly Item[])], index: number): Item {
  return items[index % items.length] ?? items[0];
}

export function never(): Promise<never> {
  return new Promise(() => {});
}
