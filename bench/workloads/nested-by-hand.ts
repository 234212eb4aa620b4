import { type Context, createContext, type Message, type Next, type StageFunction } from "event-driver";

/** Takes one message through everything. */
export type Run = (message: Message) => Promise<unknown>;

/** What one would write without a library; the functions for `next` are made once, which is as cheap as it gets. */
export function nestedByHand(): Run {
  const end = async (): Promise<void> => {};
  const fromFifth: Next = (ctx, message) => fifth(ctx, message, end);
  const fromFourth: Next = (ctx, message) => fourth(ctx, message, fromFifth);
  const fromThird: Next = (ctx, message) => third(ctx, message, fromFourth);
  const fromSecond: Next = (ctx, message) => second(ctx, message, fromThird);
  const ctx = createContext();
  return (message) => first(ctx, message, fromSecond);
}

/** The stages themselves. Five functions and not one five times: real ones differ, and the compiler must not be able to take them for one. */
export const passThroughStages: readonly StageFunction[] = [first, second, third, fourth, fifth];

async function first(ctx: Context, message: Message, next: Next): Promise<void> {
  await next(ctx, message);
}

async function second(ctx: Context, message: Message, next: Next): Promise<void> {
  await next(ctx, message);
}

async function third(ctx: Context, message: Message, next: Next): Promise<void> {
  await next(ctx, message);
}

async function fourth(ctx: Context, message: Message, next: Next): Promise<void> {
  await next(ctx, message);
}

async function fifth(ctx: Context, message: Message, next: Next): Promise<void> {
  await next(ctx, message);
}
