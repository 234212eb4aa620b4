import { type Context, deriveContext, type Message, type Processor } from "event-driver";

/** Which delivery a message came by, between the conversion that learns it and the pipeline that is told. */
const attempts: WeakMap<Message, number> = new WeakMap();

/** Remembers which delivery of it brought this very message. */
export function rememberAttempt(message: Message, attempt: number | undefined): Message {
  if (attempt !== undefined) attempts.set(message, attempt);
  return message;
}

/** The same pipeline, with `ctx.attempt` set where the conversion has learnt it. In a batch, which Pub/Sub never sends, it stays 1. */
export function countingAttempts(pipeline: Processor): Processor {
  const counting = (ctx: Context, message: Message): Context => {
    const attempt = attempts.get(message);
    return attempt === undefined ? ctx : deriveContext(ctx, { attempt });
  };
  return {
    process: (ctx, message) => pipeline.process(counting(ctx, message), message),
    processBatch: (ctx, messages, options) => pipeline.processBatch(ctx, messages, options),
    sweep: (ctx) => pipeline.sweep(ctx),
  };
}
