import { type Message, pipeline, type Pipeline } from "event-driver";

/** A pipeline that keeps every message and the attempt it came by. */
export function recording(): { readonly messages: Message[]; readonly attempts: number[]; readonly pipeline: Pipeline } {
  const messages: Message[] = [];
  const attempts: number[] = [];
  return {
    messages,
    attempts,
    pipeline: pipeline().use(async (ctx, message, next) => {
      messages.push(message);
      attempts.push(ctx.attempt);
      await next(ctx, message);
    }),
  };
}
