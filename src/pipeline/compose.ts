import type { Context, RunContext } from "../context.ts";
import type { AnyMessage } from "./handler.ts";

export type Link = (ctx: Context, message: AnyMessage) => Promise<void>;
export type ComposedStage = (ctx: Context, message: AnyMessage, next: Link) => Promise<void>;

const done = Promise.resolve();

/**
 * Chains the stages; the result has one entry for each, and `end` behind the last. Calling entry 0 runs them all.
 *
 * Each stage's `next` is built once, here, and not for every message: `next(ctx, message)` is given both, so it has nothing to remember.
 * Stages run bare, without an await around each, which would cost as much as the stages themselves. Each leaves its promise on the
 * run's trail, and only a failure makes anyone look at that, see {@link failedStage}.
 */
export function compose(stages: readonly ComposedStage[], end: Link = () => done): readonly Link[] {
  const links: Link[] = [end];
  for (const [index, stage] of [...stages.entries()].reverse()) links.unshift(link(stage, index, links[0] ?? end));
  return links;
}

/** A stage, by its name and its place in the pipeline, counted from 0. */
export interface FailedStage {
  readonly name: string;
  readonly index: number;
}

/** Which stage an error came from: the deepest one whose own promise was rejected with it. `undefined` where no trail leads there. */
export async function failedStage(ctx: Context, error: unknown): Promise<FailedStage | undefined> {
  if (!hasTrail(ctx)) return undefined;
  for (let index = ctx.trail.length - 1; index >= 0; index -= 1) {
    const stage = ctx.trail[index];
    if (stage !== undefined && (await rejectedWith(stage, error))) return { name: ctx.stages[index]?.name ?? "unknown", index };
  }
  return undefined;
}

function link(stage: ComposedStage, index: number, rest: Link): Link {
  return (ctx, message) => {
    let result: Promise<void>;
    try {
      result = stage(ctx, message, rest);
    } catch (error) {
      result = Promise.reject(error);
    }
    // A stage may pass on a context it made up; then its place in a failure is unknown, but the message still flows.
    if (hasTrail(ctx)) ctx.trail[index] = result;
    return result;
  };
}

function hasTrail(ctx: Context): ctx is RunContext {
  return "trail" in ctx;
}

function rejectedWith(stage: Promise<void>, error: unknown): Promise<boolean> {
  const rejected = stage.then(
    () => false,
    (reason: unknown) => reason === error,
  );
  // A stage that is still running has not failed; the second microtask lets a settled one win.
  return Promise.race([rejected, done.then(() => done).then(() => false)]);
}
