import type { Context, EndReason } from "../context.ts";
import type { Message } from "../message.ts";
import type { AnyMessage } from "./handler.ts";

import { deriveContext } from "../context.ts";
import { invalidOption } from "../errors.ts";

export interface BatchOptions {
  /**
   * How many keys are worked on at the same time.
   * @default 16
   */
  readonly concurrency?: number;
}

/** How one message of a batch ended. */
export type Settlement =
  | { readonly status: "done"; readonly reply: Message | undefined; readonly ended: EndReason | undefined }
  | { readonly status: "failed"; readonly error: unknown };

/** Runs each message by itself: one key in the order given, different keys side by side. */
export async function processInBatch<In extends AnyMessage>(
  process: (ctx: Context, message: In) => Promise<void>,
  ctx: Context,
  messages: readonly In[],
  { concurrency = 16 }: BatchOptions = {},
): Promise<readonly Settlement[]> {
  if (!Number.isInteger(concurrency) || concurrency < 1)
    throw invalidOption("processBatch", "concurrency", concurrency, "a whole number from 1");
  const settlements: Settlement[] = [];
  const keys = Map.groupBy(messages.entries(), ([, message]) => message.key).values();

  const worker = async (): Promise<void> => {
    for (const sameKey of keys) {
      for (const [index, message] of sameKey) settlements[index] = await settle(process, ctx, message);
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, messages.length) }, worker));
  return settlements;
}

async function settle<In extends AnyMessage>(
  process: (ctx: Context, message: In) => Promise<void>,
  ctx: Context,
  message: In,
): Promise<Settlement> {
  let reply: Message | undefined;
  let ended: EndReason | undefined;
  const each = deriveContext(ctx, {
    reply: (given: Message) => void (reply = given),
    ended: (reason: EndReason) => void (ended = reason),
  });
  try {
    await process(each, message);
    return { status: "done", reply, ended };
  } catch (error) {
    return { status: "failed", error };
  }
}
