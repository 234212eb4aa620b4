import type { Clock } from "../../src/clock.ts";
import type { Message, MessageInit, StorableContent } from "../../src/message.ts";
import type { Processor } from "../../src/pipeline/pipeline.ts";

import { type ContextOptions, createContext, type EndReason } from "../../src/context.ts";
import { createMessage } from "../../src/message.ts";

/** How a delivery was answered. */
export interface Delivery {
  readonly ended: EndReason | undefined;
  readonly reply: Message | undefined;
}

/** Sends a message through a pipeline, as a receiver does. Rejects where the pipeline does. */
export async function deliver(
  pipeline: Processor,
  clock: Clock,
  message: Message,
  options: Omit<ContextOptions, "clock" | "onReply" | "onEnded"> = {},
): Promise<Delivery> {
  let ended: EndReason | undefined;
  let reply: Message | undefined;
  await pipeline.process(
    createContext({ ...options, clock, onReply: (given) => void (reply = given), onEnded: (reason) => void (ended = reason) }),
    message,
  );
  return { ended, reply };
}

/** An event of the key `order-1`, its id named after its source, its content an empty object, unless given otherwise. */
export function event(source: string, parts: Partial<MessageInit<StorableContent>> = {}): Message {
  return createMessage({ id: `${source}-a`, key: "order-1", source, content: "{}", ...parts });
}

/** What a delivery fails with, for tests that go on before it does. */
export async function failureOf(delivery: Promise<unknown>): Promise<unknown> {
  try {
    await delivery;
  } catch (error) {
    return error;
  }
  throw new Error("it succeeded, and was to fail");
}
