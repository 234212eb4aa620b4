import type { Context } from "../context.ts";
import type { Message } from "../message.ts";
import type { EventStore } from "../stores/event-store.ts";

/** A message of whatever content; only inside a pipeline is content other than text and bytes found. */
export type AnyMessage = Message<unknown>;

/** The rest of the pipeline. Resolves when every stage behind has finished; rejects when one failed. May be called again, which is how retry is written. */
export type Next<C extends Context = Context, M extends AnyMessage = Message> = (ctx: C, message: M) => Promise<void>;

/**
 * A stage as a plain function. Not calling `next` ends the message there, successfully; throwing fails it.
 *
 * @example const audit: StageFunction = async (ctx, message, next) => { log(message.id); await next(ctx, message); };
 */
export type StageFunction<C extends Context = Context, In extends AnyMessage = Message, Out extends AnyMessage = In> = (
  ctx: C,
  message: In,
  next: Next<C, Out>,
) => Promise<void>;

/** A stage as an object: it can carry traits, and work of its own to be done between messages. */
export interface Handler<In extends AnyMessage = Message, Out extends AnyMessage = In, Adds = unknown> {
  readonly traits?: Traits;
  /** Pass on the context that came in, or one derived from it with `deriveContext`: what stages in front have added must reach those behind. */
  readonly process: (ctx: Context, message: In, next: Next<Context & Adds, Out>) => Promise<void>;
  /** Does what is due without a message: ends windows, takes over what a crashed process left. Bounded, and safe to run in many processes at once. */
  readonly sweep?: (ctx: Context, next: Next<Context & Adds, Out>) => Promise<SweepReport>;
  /** The context in which the stages behind it sweep, where they rely on something it adds. */
  readonly sweepContext?: (ctx: Context) => Context;
}

/** A stage that lets any message through as it is, and may add to the context. */
export interface PassThrough<Adds = unknown> {
  readonly traits?: Traits;
  readonly process: <M extends AnyMessage>(ctx: Context, message: M, next: Next<Context & Adds, M>) => Promise<void>;
  readonly sweep?: (ctx: Context) => Promise<SweepReport>;
  /** The context in which the stages behind it sweep, where they rely on something it adds. */
  readonly sweepContext?: (ctx: Context) => Context;
}

/** What a stage says of itself. The checks of stage order read it; a stage without traits may stand anywhere. */
export interface Traits {
  /** Shown in errors and traces. */
  readonly name: string;
  /** It remembers that a message is done as soon as the stages behind it have returned. */
  readonly guards?: boolean;
  /** It runs the stages behind it again when they fail. */
  readonly retries?: boolean;
  /** It ends failed messages successfully, by putting them aside. */
  readonly deadLetters?: boolean;
  /** It returns before the stages behind it have finished, so their failure reaches nobody in front of it. */
  readonly detaches?: boolean;
  /** Where it keeps its state. No two handlers may share one store and scope. */
  readonly state?: { readonly store: EventStore; readonly scope: string };
}

/** What one sweep has done. */
export interface SweepReport {
  /** How many due entries were brought to an end. */
  readonly finished: number;
  /** What failed on the way; each will be tried again by a later sweep. */
  readonly errors: readonly unknown[];
  /** Whether there is more to do at once, because the step limit was reached. */
  readonly more: boolean;
}
