import type { Claim } from "./claim.ts";
import type { ClaimRecord, StepRecord } from "./claim-record.ts";

import { digest } from "../digest.ts";
import { EventDriverError, quote } from "../errors.ts";

export interface StepOptions {
  /**
   * Any JSON value the step depends on. A later run that asks for the same step with another input fails instead of taking the wrong result.
   * @default not compared
   */
  readonly input?: unknown;
}

/**
 * Runs `body` and stores its result with the claim; a later run of the same message is given that result and does not run `body` again.
 *
 * The result must survive JSON, and is given back as JSON left it. Nothing else is asked of the handler: steps may run in any order, and side by
 * side. A process that dies between the end of `body` and the record of its result runs it again.
 *
 * @throws EventDriverError `ERR_STEP_CHANGED`, terminal, when a name is used twice in one run or its input is another than when it was stored;
 * `ERR_LEASE_LOST` when the message belongs to another owner by now
 * @example const receipt = await ctx.step("charge", () => charge(order), { input: order.total });
 */
export type Step = <Value>(name: string, body: () => Promise<Value> | Value, options?: StepOptions) => Promise<Value>;

/** The steps of one run under a claim. */
export function stepsOf(claim: Claim, id: string): Step {
  // Made with the first step: most messages have none.
  let used: Set<string> | undefined;

  return async <Value>(name: string, body: () => Promise<Value> | Value, options: StepOptions = {}) => {
    used ??= new Set();
    if (used.has(name)) throw stepChanged(name, id, "is used twice in one run; give it another");
    used.add(name);
    const input = options.input === undefined ? undefined : await digest(JSON.stringify(options.input));
    const stored = storedStep(claim.record, name);
    if (stored !== undefined) {
      if (stored.input !== input) throw stepChanged(name, id, "has another input than when its result was stored");
      return fromJson<Value>(stored.result);
    }
    await claim.ensureLease();
    const result = toJson(await body(), name, id);
    const step: StepRecord = { input, result };
    await claim.update((record) => ({ steps: { ...record.steps, [name]: step } }));
    return fromJson<Value>(result);
  };
}

/** The steps of a claim that has ended: what has a result is given it, anything else is run and forgotten. */
export function storedStepsOf(record: ClaimRecord): Step {
  return async <Value>(name: string, body: () => Promise<Value> | Value) => {
    const stored = storedStep(record, name);
    return stored === undefined ? body() : fromJson<Value>(stored.result);
  };
}

function storedStep({ steps }: ClaimRecord, name: string): StepRecord | undefined {
  return steps !== undefined && Object.hasOwn(steps, name) ? steps[name] : undefined;
}

function toJson(value: unknown, name: string, id: string): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new EventDriverError("ERR_TERMINAL", {
      message: `step ${quote(name)} of message ${quote(id)} has a result that JSON cannot hold; return something it can`,
      retryable: false,
      cause,
    });
  }
}

function fromJson<Value>(text: string | undefined): Value {
  // An empty list has no first element, which is how `undefined` comes back as itself.
  const [value] = JSON.parse(`[${text ?? ""}]`);
  return value;
}

function stepChanged(name: string, id: string, why: string): EventDriverError {
  return new EventDriverError("ERR_STEP_CHANGED", { message: `step ${quote(name)} of message ${quote(id)} ${why}`, retryable: false });
}
