import type { ClaimRules } from "../claims/claim-record.ts";
import type { Context } from "../context.ts";
import type { EventStore } from "../stores/event-store.ts";

import { findClaim, isTakeable, startClaim } from "../claims/claim.ts";
import { ownerNames } from "../claims/claim-record.ts";
import { interruptible } from "../context.ts";
import { Races } from "../pipeline/race.ts";

/** Does work under a name that nobody else may work under at the same time. Resolves to `false`, and does nothing, while somebody else does. */
export type Lock = (ctx: Context, name: string, work: (ctx: Context) => Promise<void>) => Promise<boolean>;

const lease = 10_000;
const remembered = 86_400_000;

/** Locks in a store; where that cannot compare and set there are none, and two who redrive at once may run a message twice. */
export function locksIn(store: EventStore): Lock {
  if (!store.features.compareAndSet) return (ctx, _name, work) => work(ctx).then(() => true);
  const rules: ClaimRules = {
    store,
    source: "~redrive",
    lease,
    skewAllowance: 1_000,
    nameOwner: ownerNames(),
    renewals: new Races(),
    writing: ({ writtenAt }, expected, signal) => ({ expected, signal, expiresAt: writtenAt + remembered }),
  };
  return async (ctx, name, work) => {
    const found = await findClaim(rules, ctx, name);
    if (found !== undefined && !isTakeable(found)) return false;
    const { claim } = await startClaim(rules, ctx, name, found, { phase: "running", trigger: name });
    if (claim === undefined) return false;
    try {
      await work(interruptible(ctx, claim, {}));
    } finally {
      await claim.release();
    }
    return true;
  };
}
