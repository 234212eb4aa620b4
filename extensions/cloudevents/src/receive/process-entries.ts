import { type Context, type ContextOptions, createContext, type EndReason, type Message, type Processor } from "event-driver";

import type { Entries, Entry } from "./read-entries.ts";
import type { EventOutcome } from "./receiver-options.ts";

/**
 * Runs the events of a request through a pipeline, each settled by itself. Never rejects.
 *
 * The only event of a request goes the short way: grouping it by key would cost as much as a pipeline of five stages.
 */
export async function processEntries(
  pipeline: Processor,
  { mode, entries }: Entries,
  options: ContextOptions,
  prepare: (ctx: Context) => Context,
): Promise<readonly EventOutcome[]> {
  const [first] = entries;
  if (mode === "batch" || first === undefined) return processBatch(pipeline, entries, prepare(createContext(options)));
  return "message" in first ? [await processOne(pipeline, first.message, options, prepare)] : [first];
}

async function processOne(
  pipeline: Processor,
  message: Message,
  options: ContextOptions,
  prepare: (ctx: Context) => Context,
): Promise<EventOutcome> {
  let reply: Message | undefined;
  let ended: EndReason | undefined;
  const ctx = createContext({ ...options, onReply: (given) => void (reply = given), onEnded: (reason) => void (ended = reason) });
  try {
    await pipeline.process(prepare(ctx), message);
    return { status: "done", message, reply, ended };
  } catch (error) {
    return { status: "failed", message, error };
  }
}

async function processBatch(pipeline: Processor, entries: readonly Entry[], ctx: Context): Promise<readonly EventOutcome[]> {
  const messages = entries.flatMap((entry) => ("message" in entry ? [entry.message] : []));
  const settlements = (await pipeline.processBatch(ctx, messages)).values();
  return entries.map((entry) => {
    if (!("message" in entry)) return entry;
    const { message } = entry;
    const settlement = settlements.next().value;
    // A pipeline settles every message it is given; one it forgot must not be acknowledged.
    return settlement === undefined
      ? { status: "failed", message, error: new Error("the pipeline did not settle this message") }
      : { message, ...settlement };
  });
}
