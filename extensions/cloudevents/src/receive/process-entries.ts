import {
  type Context,
  type ContextOptions,
  createContext,
  type EndReason,
  type Message,
  type Processor,
  type Settlement,
} from "event-driver";

import type { AcceptedEntry, Entries, Entry } from "./read-entries.ts";
import type { EventOutcome } from "./receiver-options.ts";

import { sweepFully } from "./sweep-fully.ts";

/**
 * Runs the events of a request through a pipeline, each settled by itself. Never rejects.
 *
 * The only event of a request goes the short way: grouping it by key would cost as much as a pipeline of five stages.
 */
export function processEntries(
  pipeline: Processor,
  { mode, entries }: Entries,
  options: ContextOptions,
  prepare: (ctx: Context) => Context,
): Promise<readonly EventOutcome[]> {
  const [first] = entries;
  if (mode === "batch" || first === undefined) return processBatch(pipeline, entries, options, prepare);
  if (!isAccepted(first)) return Promise.resolve([first]);
  const settle = first.sweeps ? sweepOne : processOne;
  return settle(pipeline, first.message, options, prepare);
}

async function processOne(
  pipeline: Processor,
  message: Message,
  options: ContextOptions,
  prepare: (ctx: Context) => Context,
): Promise<readonly [EventOutcome]> {
  let reply: Message | undefined;
  let ended: EndReason | undefined;
  const ctx = createContext({ ...options, onReply: (given) => void (reply = given), onEnded: (reason) => void (ended = reason) });
  try {
    await pipeline.process(prepare(ctx), message);
    return [{ status: "done", message, reply, ended }];
  } catch (error) {
    return [{ status: "failed", message, error }];
  }
}

async function sweepOne(
  pipeline: Processor,
  message: Message,
  options: ContextOptions,
  prepare: (ctx: Context) => Context,
): Promise<readonly [EventOutcome]> {
  return [{ message, ...(await sweep(pipeline, options, prepare)) }];
}

async function processBatch(
  pipeline: Processor,
  entries: readonly Entry[],
  options: ContextOptions,
  prepare: (ctx: Context) => Context,
): Promise<readonly EventOutcome[]> {
  const accepted = entries.filter(isAccepted);
  const messages = accepted.filter(({ sweeps }) => !sweeps).map(({ message }) => message);
  const [settled, swept] = await Promise.all([
    pipeline.processBatch(prepare(createContext(options)), messages),
    // One sweep does for all that ask for it.
    messages.length < accepted.length ? sweep(pipeline, options, prepare) : undefined,
  ]);
  const settlements = settled.values();
  return entries.map((entry) => {
    if (!isAccepted(entry)) return entry;
    const { message, sweeps } = entry;
    const settlement = sweeps ? swept : settlements.next().value;
    // A pipeline settles every message it is given; one it forgot must not be acknowledged.
    return settlement === undefined
      ? { status: "failed", message, error: new Error("the pipeline did not settle this message") }
      : { message, ...settlement };
  });
}

async function sweep(pipeline: Processor, options: ContextOptions, prepare: (ctx: Context) => Context): Promise<Settlement> {
  try {
    await sweepFully(pipeline, options, prepare);
    return { status: "done", reply: undefined, ended: undefined };
  } catch (error) {
    return { status: "failed", error };
  }
}

function isAccepted(entry: Entry): entry is AcceptedEntry {
  return "message" in entry;
}
