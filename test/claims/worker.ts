import type { ClaimPhase } from "../../src/claims/claim-record.ts";
import type { EventStore } from "../../src/stores/event-store.ts";

import { interceptedStore, type StoreCall } from "./intercepted-store.ts";

type Matches = (call: StoreCall) => boolean;

/** A process of its own on a store that it shares with others. */
export interface Worker {
  readonly store: EventStore;
  /** What it has asked of the store so far. */
  readonly calls: readonly StoreCall[];
  /** From now on no call of it reaches the store or comes back, as when its process has ended. */
  crash(): void;
  /** The next call that matches fails, before it reaches the store or after it has been done there. */
  failNext(when: "before" | "after", matches: Matches, error?: Error): void;
  /** The next call that matches waits until what this returns is called. */
  holdNext(matches: Matches): () => void;
}

/** @param cheapReads what the store says of its reads; by default it is as far away as a shared store mostly is */
export function workerOn(shared: EventStore, { cheapReads = false }: { readonly cheapReads?: boolean } = {}): Worker {
  const calls: StoreCall[] = [];
  const plans: Plan[] = [];
  let crashed = false;

  const store = interceptedStore(shared, async (call, run) => {
    if (crashed) return never();
    calls.push(call);
    const plan = takePlan(plans, call);
    await plan?.before?.();
    if (crashed) return never();
    const result = await run();
    if (crashed) return never();
    await plan?.after?.();
    return result;
  });

  return {
    store: { ...store, features: { ...shared.features, cheapReads } },
    calls,
    crash() {
      crashed = true;
    },
    failNext(when, matches, error = new Error("connection reset")) {
      plans.push({ matches, [when]: () => Promise.reject(error) });
    },
    holdNext(matches) {
      const { promise, resolve } = Promise.withResolvers<void>();
      plans.push({ matches, before: () => promise });
      return resolve;
    },
  };
}

/** Calls that write a claim in this phase. */
export function writesClaim(phase: ClaimPhase): Matches {
  return ({ operation, message }) =>
    operation === "persist" && typeof message?.content === "string" && message.content.includes(`"phase":"${phase}"`);
}

/** How often each operation was asked for. */
export function countOf(calls: readonly StoreCall[]): Partial<Record<StoreCall["operation"], number>> {
  const counts: Partial<Record<StoreCall["operation"], number>> = {};
  for (const { operation } of calls) counts[operation] = (counts[operation] ?? 0) + 1;
  return counts;
}

interface Plan {
  readonly matches: Matches;
  readonly before?: () => Promise<void>;
  readonly after?: () => Promise<void>;
}

function takePlan(plans: Plan[], call: StoreCall): Plan | undefined {
  const index = plans.findIndex((plan) => plan.matches(call));
  return index < 0 ? undefined : plans.splice(index, 1)[0];
}

function never(): Promise<never> {
  return new Promise(() => {});
}
