import type { Context } from "../context.ts";
import type { DeadLetter } from "../handlers/dead-letter/entry.ts";
import type { Processor } from "../pipeline/pipeline.ts";
import type { Connection } from "../streams/connection.ts";
import type { Lock } from "./lock.ts";
import type { ParkedKeys } from "./parked-keys.ts";

import { createContext, liveSignal } from "../context.ts";
import { EventDriverError, invalidOption, isRevisionConflict, quote } from "../errors.ts";
import { identityOf, type Message } from "../message.ts";
import { type FailedRedrive, type RedriveOptions, type RedriveReport, RedriveRun } from "./redrive-options.ts";
import { asRedriven } from "./redriven.ts";

/** Where messages go that were put aside: through a pipeline, or into a stream. */
export type RedriveTarget = Pick<Processor, "process"> | RedriveStream;

export interface RedriveStream {
  readonly connection: Pick<Connection, "publish">;
  readonly stream: string;
}

/**
 * How a replay ended without failing.
 *
 * - `done`: the message was processed, and its dead letter removed
 * - `put aside again`: it failed for good once more, and the dead letter of its pipeline has put it aside again
 * - `duplicate`: a stage took it for processed, so nothing was done and the dead letter stays; remove it if that is right
 */
export type ReplayOutcome = "done" | "put aside again" | "duplicate";

/** The dead letters that are redriven, and what is done with one. */
export interface RedriveSource {
  readonly all: () => AsyncIterable<DeadLetter>;
  readonly find: (key: string, identity: string) => Promise<DeadLetter | undefined>;
  readonly remove: (letter: DeadLetter, signal: AbortSignal | undefined) => Promise<void>;
  readonly replay: (pipeline: Pick<Processor, "process">, letter: DeadLetter, ctx: Context) => Promise<ReplayOutcome>;
  readonly parked: () => ParkedKeys;
  readonly lock: Lock;
}

/** Redrives what was put aside in a store: a key at a time, and each message or parked key by one process at a time. */
export async function redriveLetters(source: RedriveSource, target: RedriveTarget, options: RedriveOptions = {}): Promise<RedriveReport> {
  requireTarget(target);
  const run = new RedriveRun("redrive", options);
  let parkedKey: string | undefined;
  for await (const letter of source.all()) {
    if (run.isCut) break;
    const { key } = letter.message;
    const isKnown = letter.ticket !== undefined && key === parkedKey;
    if (!isKnown && !run.selects(letter)) continue;
    try {
      if (letter.ticket === undefined) await redriveOne(source, target, letter, run);
      else {
        parkedKey = key;
        if (!isKnown) await redriveKey(source, target, key, run);
        await removeLeftover(source, letter, run);
      }
    } catch (error) {
      run.fail(letter.message, error);
    }
  }
  return run.report();
}

async function redriveOne(source: RedriveSource, target: RedriveTarget, letter: DeadLetter, run: RedriveRun): Promise<void> {
  const { message, revision } = letter;
  const identity = identityOf(message);
  if (run.dryRun) return run.count();
  const isOurs = await source.lock(contextOf(run), JSON.stringify([message.key, identity]), async (ctx) => {
    const current = await source.find(message.key, identity);
    if (current?.revision !== revision) run.skipped += 1;
    else if (await run.mayGoOn()) await send(source, target, letter, run, ctx);
  });
  if (!isOurs) run.skipped += 1;
}

/** Everything of a parked key, in order, and what comes meanwhile. */
async function redriveKey(source: RedriveSource, target: RedriveTarget, key: string, run: RedriveRun): Promise<void> {
  const isOurs = await source.lock(contextOf(run), JSON.stringify([key]), async (ctx) => {
    if ("process" in target && !run.dryRun) return processInOrder(source, target, key, run, ctx);
    for (const identity of (await source.parked().get(key))?.waiting ?? []) {
      const letter = await source.find(key, identity);
      if (letter === undefined) return run.fail(partsOf(key, identity), missing(key, identity));
      if (run.dryRun) run.count();
      else if (!(await run.mayGoOn()) || !(await send(source, target, letter, run, ctx))) return;
    }
  });
  if (!isOurs) run.skipped += 1;
}

async function processInOrder(
  source: RedriveSource,
  target: Pick<Processor, "process">,
  key: string,
  run: RedriveRun,
  ctx: Context,
): Promise<void> {
  for (;;) {
    const [first] = (await source.parked().get(key))?.waiting ?? [];
    if (first === undefined) return;
    const letter = await source.find(key, first);
    if (letter === undefined) return run.fail(partsOf(key, first), missing(key, first));
    if (!(await run.mayGoOn()) || !(await send(source, target, letter, run, ctx))) return;
    // The pipeline's own dead letter has done so, if it has one that parks keys.
    await source.parked().skip(key, first);
  }
}

/** Inserts at the target, then removes here. `false` when the message stays. */
async function send(source: RedriveSource, target: RedriveTarget, letter: DeadLetter, run: RedriveRun, ctx: Context): Promise<boolean> {
  try {
    const outcome = await ("process" in target ? source.replay(target, letter, ctx) : publish(source, target, letter, ctx));
    if (outcome === "put aside again") {
      run.fail(letter.message, failedAgain(letter.message));
      return false;
    }
    if (outcome === "duplicate") await removeIfUnchanged(source, letter, liveSignal(ctx));
    if (outcome === "done") run.redriven += 1;
    else run.skipped += 1;
    return true;
  } catch (error) {
    run.fail(letter.message, error);
    return false;
  }
}

async function publish(source: RedriveSource, { connection, stream }: RedriveStream, letter: DeadLetter, ctx: Context): Promise<"done"> {
  const signal = liveSignal(ctx);
  await connection.publish(stream, asRedriven(letter), { signal });
  await removeIfUnchanged(source, letter, signal);
  return "done";
}

/** What has failed again meanwhile stays. */
async function removeIfUnchanged(source: RedriveSource, letter: DeadLetter, signal: AbortSignal | undefined): Promise<void> {
  try {
    await source.remove(letter, signal);
  } catch (error) {
    if (!isRevisionConflict(error)) throw error;
  }
}

/** What a crash has left of a message that has been done, or was never acknowledged as put aside. */
async function removeLeftover(source: RedriveSource, { message }: DeadLetter, run: RedriveRun): Promise<void> {
  if (run.dryRun) return;
  const letter = await source.find(message.key, identityOf(message));
  // Read before its queue: what is put aside later than this is not removed.
  if (letter?.ticket === undefined || (await source.parked().isPending(message, letter.ticket))) return;
  await removeIfUnchanged(source, letter, undefined);
  run.skipped += 1;
}

/** Without the signal: what is under way is brought to its end, for it would have to be done again. */
function contextOf({ clock }: RedriveRun): Context {
  return createContext({ clock });
}

function requireTarget(target: RedriveTarget): void {
  if (typeof target === "object" && target !== null && "process" in target && typeof target.process === "function") return;
  if (typeof target === "object" && target !== null && "stream" in target && typeof target.stream === "string" && target.stream !== "")
    return;
  throw invalidOption("redrive", "target", target, "a pipeline, or { connection, stream }");
}

/** An identity is the JSON of the message's origin, or its source, and its id. */
function partsOf(key: string, identity: string): FailedRedrive["message"] {
  const [source, id]: readonly string[] = JSON.parse(identity);
  return { id: id ?? "", key, source: source ?? "" };
}

function failedAgain({ id }: Message): EventDriverError {
  return new EventDriverError("ERR_HANDLER_FAILED", {
    message: `message ${quote(id)} failed again, or stands behind another one of its key; look at its dead letter`,
    retryable: false,
  });
}

function missing(key: string, identity: string): EventDriverError {
  return new EventDriverError("ERR_KEY_PARKED", {
    message: `the dead letter of ${quote(identity)}, which key ${quote(key)} waits for, is not there: it is on its way back, or has expired; when it will not come, skip it`,
    retryable: true,
  });
}
