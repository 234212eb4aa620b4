import type { Context } from "../../context.ts";
import type { Message } from "../../message.ts";
import type { Next } from "../../pipeline/handler.ts";
import type { EventStore } from "../../stores/event-store.ts";
import type { Condition } from "./condition.ts";
import type { RepeatPolicy } from "./members.ts";

import { liveSignal } from "../../context.ts";
import { accept, readMembers, sourceOf } from "./entries.ts";
import { composedMessage, freeze } from "./outcome.ts";

interface EachSettings {
  readonly entries: EventStore;
  readonly scope: string;
  readonly condition: Condition;
  readonly repeated: RepeatPolicy;
  readonly retention: number;
}

/**
 * Stores the message and, when the condition holds by then, emits what is stored. Two that arrive together may both emit the same: the id tells.
 */
export async function emitEach(settings: EachSettings, ctx: Context, message: Message, next: Next): Promise<void> {
  const { entries, scope, condition, repeated, retention } = settings;
  const { key } = message;
  await accept(entries, ctx, message, repeated, { expiresAt: ctx.clock.now() + retention });
  const names = await entries.listSourcesByKey(key, { signal: liveSignal(ctx) });
  if (!condition.holds(new Set(names.map(sourceOf).filter((source) => source !== undefined)))) return ctx.ended("waiting");
  const messages = await readMembers(entries, ctx, key);
  const { composed } = await freeze({ scope, key, kind: "complete", missing: [] }, messages, ctx.clock.now());
  await next(ctx, composedMessage(key, composed));
}
