import type { Context } from "../context.ts";
import type { Message } from "../message.ts";
import type { AnyMessage, Handler, PassThrough, StageFunction, SweepReport, Traits } from "./handler.ts";

import { beginRun, createContext, givenSignal } from "../context.ts";
import { invalidOption } from "../errors.ts";
import { type BatchOptions, processInBatch, type Settlement } from "./batch.ts";
import { compose, type ComposedStage, type Link } from "./compose.ts";
import { checkOrder } from "./order.ts";
import { Races } from "./race.ts";
import { missedDeadline, runBare, runRaced } from "./run.ts";

export interface PipelineOptions {
  /**
   * Milliseconds within which each message must be done. Where its context has a deadline of its own, the sooner one counts.
   * @default none
   */
  readonly deadline?: number;
}

/** What receivers and consumers need of a pipeline. */
export interface Processor<In extends AnyMessage = Message> {
  process(ctx: Context, message: In): Promise<void>;
  processBatch(ctx: Context, messages: readonly In[], options?: BatchOptions): Promise<readonly Settlement[]>;
  sweep(ctx?: Context): Promise<SweepReport>;
}

/**
 * Stages in order; immutable, every `use` returns a longer one.
 *
 * `In` is what it takes, `Out` what its last stage passes on, `C` what the context holds by then.
 */
export interface Pipeline<In extends AnyMessage = Message, Out extends AnyMessage = In, C extends Context = Context> extends Processor<In> {
  /** The traits of its stages, in order; a plain function has only its name. */
  readonly stages: readonly Traits[];
  /**
   * Adds a stage at the end.
   *
   * @throws EventDriverError `ERR_STAGE_ORDER` when messages would be lost where it stands
   */
  use<M extends AnyMessage = Out>(stage: StageFunction<C, Out, M>): Pipeline<In, M, C>;
  use<Adds>(stage: PassThrough<Adds>): Pipeline<In, Out, C & Adds>;
  use<I extends AnyMessage, O extends AnyMessage, Adds>(stage: Handler<I, O, Adds> & Fits<Out, I>): Pipeline<In, O, C & Adds>;
  /**
   * Runs one message through all stages.
   *
   * Rejects with a `StageError` around the failure of a stage; with `ctx.signal.reason` as soon as that aborts; with a `TimeoutError` when the
   * deadline passes. The latter two do not wait for a stage that ignores its signal, and release nothing it still holds.
   */
  process(ctx: Context, message: In): Promise<void>;
  /** Runs many: different keys side by side, one key in order. Never rejects: each message is settled by itself, in the order given. */
  processBatch(ctx: Context, messages: readonly In[], options?: BatchOptions): Promise<readonly Settlement[]>;
  /**
   * Does what is due without a message, once, for every stage that has such work. What fails is in the report. See `startSweeping` for doing it
   * regularly.
   */
  sweep(ctx?: Context): Promise<SweepReport>;
}

/** `unknown` when a stage can take what arrives; else a type nothing has, whose property name is what the compiler then says. */
export type Fits<Arrives extends AnyMessage, Wanted extends AnyMessage> = Arrives extends Wanted
  ? unknown
  : { readonly "this stage cannot take the message that arrives here: move it, or convert the content in front of it": [Arrives, Wanted] };

/**
 * An empty pipeline; add stages with `use`.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example
 * const orders = pipeline().use(idempotency({ store })).use(async (ctx, message) => { await charge(message.content); });
 * await orders.process(createContext(), message);
 */
export function pipeline<In extends AnyMessage = Message>(options: PipelineOptions = {}): Pipeline<In> {
  const { deadline } = options;
  if (deadline !== undefined && !(deadline > 0)) throw invalidOption("pipeline", "deadline", deadline, "milliseconds above 0");
  return new StagePipeline<In, In, Context>([], deadline);
}

/** Every kind of stage as it is given, when the compiler has checked by `use` that it fits where it stands. */
type GivenStage = GivenHandler["process"] | GivenHandler;

interface GivenHandler {
  readonly traits?: Traits;
  process(ctx: Context, message: AnyMessage, next: Link): Promise<void>;
  sweep?(ctx: Context, next: Link): Promise<SweepReport | undefined>;
  sweepContext?(ctx: Context): Context;
}

/** The same as it is run. */
interface Stage extends GivenHandler {
  readonly traits: Traits;
  /** Needs no `this`, so that it can be called without the stage being looked up. */
  readonly process: ComposedStage;
}

class StagePipeline<In extends AnyMessage, Out extends AnyMessage, C extends Context> implements Pipeline<In, Out, C> {
  readonly stages: readonly Traits[];
  readonly #stages: readonly Stage[];
  readonly #links: readonly Link[];
  readonly #deadline: number | undefined;
  readonly #races = new Races();

  constructor(stages: readonly Stage[], deadline: number | undefined) {
    this.stages = stages.map((stage) => stage.traits);
    this.#stages = stages;
    this.#links = compose(stages.map((stage) => stage.process));
    this.#deadline = deadline;
  }

  use<M extends AnyMessage = Out>(stage: StageFunction<C, Out, M>): Pipeline<In, M, C>;
  use<Adds>(stage: PassThrough<Adds>): Pipeline<In, Out, C & Adds>;
  use<I extends AnyMessage, O extends AnyMessage, Adds>(stage: Handler<I, O, Adds> & Fits<Out, I>): Pipeline<In, O, C & Adds>;
  use<M extends AnyMessage, Adds>(given: GivenStage): Pipeline<In, M, C & Adds> {
    const stage = asStage(given, this.stages.length);
    checkOrder(this.stages, stage.traits);
    return new StagePipeline([...this.#stages, stage], this.#deadline);
  }

  process(ctx: Context, message: In): Promise<void> {
    return this.#run(0, ctx, message);
  }

  processBatch(ctx: Context, messages: readonly In[], options?: BatchOptions): Promise<readonly Settlement[]> {
    return processInBatch((each, message) => this.process(each, message), ctx, messages, options);
  }

  async sweep(ctx: Context = createContext()): Promise<SweepReport> {
    const reports: SweepReport[] = [];
    let inFront = ctx;
    for (const [index, stage] of this.#stages.entries()) {
      const report = await sweepStage(stage, inFront, (each, message) => this.#run(index + 1, each, message));
      if (report !== undefined) reports.push(report);
      inFront = stage.sweepContext?.(inFront) ?? inFront;
    }
    return {
      finished: reports.reduce((sum, report) => sum + report.finished, 0),
      errors: reports.flatMap((report) => report.errors),
      more: reports.some((report) => report.more),
    };
  }

  #run(from: number, ctx: Context, message: AnyMessage): Promise<void> {
    const link = this.#links[from];
    if (link === undefined) return Promise.resolve();
    const now = this.#deadline === undefined && ctx.deadline === undefined ? 0 : ctx.clock.now();
    if (ctx.deadline !== undefined && ctx.deadline <= now) return Promise.reject(missedDeadline(message.id));
    const deadline = sooner(ctx.deadline, this.#deadline === undefined ? undefined : now + this.#deadline);
    const signal = givenSignal(ctx);
    const run = beginRun(ctx, deadline, this.stages);
    if (signal === undefined && deadline === undefined) return runBare(link, run, message);
    return runRaced(link, run, message, signal, this.#races);
  }
}

/** A stage whose sweep fails as a whole must not keep those behind it from theirs. */
async function sweepStage(stage: Stage, ctx: Context, next: Link): Promise<SweepReport | undefined> {
  try {
    return await stage.sweep?.(ctx, next);
  } catch (error) {
    return { finished: 0, errors: [error], more: false };
  }
}

function sooner(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other);
}

function asStage(given: GivenStage, index: number): Stage {
  if (typeof given === "function") return { traits: { name: given.name || `stage ${index}` }, process: given };
  if (typeof given?.process !== "function")
    throw invalidOption("pipeline", `stage ${index}`, given, "a function or an object with process");
  return {
    traits: given.traits ?? { name: `stage ${index}` },
    process: given.process.bind(given),
    sweep: async (ctx, next) => given.sweep?.(ctx, next),
    sweepContext: (ctx) => given.sweepContext?.(ctx) ?? ctx,
  };
}
