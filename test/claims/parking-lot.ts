import type { AnyMessage, PassThrough } from "../../src/pipeline/handler.ts";

import { isRetryable } from "../../src/errors.ts";
import { type DeadLetterInFront, deadLetterInFront } from "../../src/pipeline/dead-letter-in-front.ts";

/** The least that a dead letter stage does: what fails for good is put aside, and counts as done. */
export interface ParkingLot extends PassThrough {
  readonly parked: readonly { readonly message: AnyMessage; readonly error: unknown }[];
}

export function parkingLot(): ParkingLot {
  const parked: { message: AnyMessage; error: unknown }[] = [];
  return {
    parked,
    async process(ctx, message, next) {
      const callbacks: (() => Promise<void>)[] = [];
      const offer: DeadLetterInFront = { putAside, afterwards: (callback) => void callbacks.push(callback) };
      try {
        await next(deadLetterInFront.set(ctx, offer), message);
      } catch (error) {
        if (isRetryable(error)) throw error;
        parked.push({ message, error });
        for (const callback of callbacks) await callback();
      }
    },
    sweepContext: (ctx) => deadLetterInFront.set(ctx, { putAside, afterwards() {} }),
  };

  async function putAside(_ctx: unknown, message: AnyMessage, error: unknown): Promise<void> {
    parked.push({ message, error });
  }
}
