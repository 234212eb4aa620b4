import type { Step } from "../../src/claims/steps.ts";
import type { EventStore } from "../../src/stores/event-store.ts";

import { createMessage } from "../../src/message.ts";

/** A mutant: results of steps in records of their own, where no fence keeps a stale owner from writing over a newer one's. */
export function stepInOwnRecord(store: EventStore, key: string): Step {
  const records = store.scope("steps");
  return async <Value>(name: string, body: () => Promise<Value> | Value): Promise<Value> => {
    const stored = await records.lookUp(key, name);
    if (stored !== undefined) return JSON.parse(String(stored.message.content));
    const result = await body();
    await records.persist(createMessage({ key, source: name, content: JSON.stringify(result) }));
    return result;
  };
}
