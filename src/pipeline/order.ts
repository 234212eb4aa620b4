import type { Traits } from "./handler.ts";

import { EventDriverError } from "../errors.ts";

/**
 * Refuses orders of stages that lose messages: what is put aside cannot be retried or guarded in front, and what returns early neither.
 *
 * @throws EventDriverError `ERR_STAGE_ORDER`, naming both stages and the order that works
 */
export function checkOrder(inFront: readonly Traits[], stage: Traits): void {
  if (stage.deadLetters) {
    const retrying = inFront.find((other) => other.retries);
    if (retrying) throw wrongOrder(stage, retrying, "what it puts aside counts as done and would not be retried");
    const guarding = inFront.find((other) => other.guards);
    if (guarding) throw wrongOrder(stage, guarding, "what it puts aside counts as done and its replay would be skipped");
  }
  if (stage.detaches) {
    const guarding = inFront.find((other) => other.guards || other.retries || other.deadLetters);
    if (guarding) throw wrongOrder(stage, guarding, "it returns early, and failures behind it would be lost");
  }
}

function wrongOrder(stage: Traits, inFront: Traits, why: string): EventDriverError {
  return new EventDriverError("ERR_STAGE_ORDER", {
    message: `${stage.name} stands behind ${inFront.name}: ${why}; put ${stage.name} in front of ${inFront.name}`,
    retryable: false,
  });
}
