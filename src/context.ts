import type { Message } from "./message.ts";

import { type Clock, systemClock } from "./clock.ts";

/** pino's shape, so a pino logger fits as it is: fields first, then the text. */
export interface Logger {
  debug(fields: object, text: string): void;
  info(fields: object, text: string): void;
  warn(fields: object, text: string): void;
  error(fields: object, text: string): void;
}

/**
 * Why a stage ended a message without calling `next`, where that is not simply "done".
 *
 * - `waiting`: kept by a joiner whose condition does not hold yet
 * - `duplicate`: it, or what it was joined into, has been processed before
 * - `superseded`: another event of the same source counts instead
 * - `late`: it came after its join had ended
 * - `filtered`: a filter or route wanted none of it
 */
export type EndReason = "waiting" | "duplicate" | "superseded" | "late" | "filtered";

/** What goes with a message through the pipeline. Stages add to it with {@link deriveContext}. */
export interface Context {
  /** Aborts when the caller gives up, the deadline passes or a lease is lost. Give it to every call that takes one. */
  readonly signal: AbortSignal;
  /** Epoch milliseconds on `clock` after which nobody waits for the outcome any more. */
  readonly deadline: number | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** 1 for the first delivery, one more for each further one, where the caller can tell. */
  readonly attempt: number;
  /** Gives the caller a message to answer with. The last one counts. */
  reply(message: Message): void;
  /** Tells the caller why the message ends here; a stage calls it before it returns without calling `next`. */
  ended(reason: EndReason): void;
}

export interface ContextOptions {
  /** @default a signal that never aborts */
  readonly signal?: AbortSignal | undefined;
  /**
   * Epoch milliseconds on `clock`.
   * @default none
   */
  readonly deadline?: number | undefined;
  /** @default systemClock */
  readonly clock?: Clock | undefined;
  /** @default silent */
  readonly logger?: Logger | undefined;
  /** @default 1 */
  readonly attempt?: number | undefined;
  /** Receives what a handler passes to `ctx.reply`. */
  readonly onReply?: ((message: Message) => void) | undefined;
  /** Receives why a stage ended the message early. */
  readonly onEnded?: ((reason: EndReason) => void) | undefined;
}

/** Drops everything: what a context logs to unless it is given a logger. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * The context to start a pipeline with.
 *
 * @example await orders.process(createContext({ signal: request.signal, logger }), message)
 */
export function createContext(options: ContextOptions = {}): Context {
  return new RootContext(rootOf(options), options.deadline, new Interrupt(options.signal ?? false), noStages, [], false);
}

/**
 * The same context with properties added or replaced, for the stages behind a handler. Costs one small object; the original is unchanged.
 *
 * @example await next(deriveContext(ctx, { tenant }), message)
 */
export function deriveContext<C extends Context, Added extends object>(ctx: C, added: Added): C & Added;
export function deriveContext(ctx: Context, added: object): object {
  if (ctx instanceof RootContext) return ctx.extend(added);
  return Object.create(ctx, Object.getOwnPropertyDescriptors(added));
}

/** A typed value that travels with the context, for example the tenant of a request. */
export interface ContextValue<Value> {
  readonly name: string;
  /** The value, or `undefined` where nobody has set it. */
  get(ctx: Context): Value | undefined;
  /** A context in which the value is set for the stages behind. */
  set<C extends Context>(ctx: C, value: Value): C;
}

/**
 * Declares a context value; two declarations never meet, even under the same name.
 *
 * @example
 * const tenant = contextValue<string>("tenant");
 * pipeline().use((ctx, message, next) => next(tenant.set(ctx, "acme"), message)).use(async (ctx) => { tenant.get(ctx); });
 */
export function contextValue<Value>(name: string): ContextValue<Value> {
  const key = Symbol(name);
  return {
    name,
    get: (ctx) => Reflect.get(ctx, key),
    set: (ctx, value) => deriveContext(ctx, { [key]: value }),
  };
}

/** @internal What one pass through a pipeline leaves behind: the promise of each stage that was entered. */
export type Trail = Promise<void>[];

/** @internal What a stage is called in errors and dead letters. */
export interface StageName {
  readonly name: string;
}

/** @internal A context on its way through one pipeline. */
export interface RunContext extends Context {
  readonly trail: Trail;
  /** The stages that the trail leads through. */
  readonly stages: readonly StageName[];
  readonly interrupt: Interrupt;
}

/** @internal The signal of a context where it can ever abort, else `undefined`: then nobody has to make, race or pass one. */
export function liveSignal(ctx: Context): AbortSignal | undefined {
  if (!(ctx instanceof RootContext)) return ctx.signal;
  return ctx.interrupt.live ? ctx.interrupt.signal : undefined;
}

/** @internal The signal that the caller of a run gave; `undefined` where there is none, or where a run around this one already races it. */
export function givenSignal(ctx: Context): AbortSignal | undefined {
  return ctx instanceof RootContext ? ctx.interrupt.given : ctx.signal;
}

/** @internal A context for one run, with a trail and a signal of its own. What its stages add to it is not seen by other runs. */
export function beginRun(ctx: Context, deadline: number | undefined, stages: readonly StageName[]): RunContext {
  if (!(ctx instanceof RootContext)) {
    return new RootContext(foreignRoot(ctx), deadline, new Interrupt(true), stages, [], false);
  }
  return ctx.beginRun(runInterrupt(ctx.interrupt, deadline), deadline, stages);
}

/** What can never abort is shared; a run that can is given one of its own. */
function runInterrupt(outer: Interrupt, deadline: number | undefined): Interrupt {
  if (outer.given !== undefined) return new Interrupt(true);
  if (deadline === undefined && !outer.live) return outer;
  return new Interrupt(deadline !== undefined, outer);
}

/** @internal What aborts when the context does. */
export function interruptOf(ctx: Context): Interrupt {
  return ctx instanceof RootContext ? ctx.interrupt : new Interrupt(ctx.signal);
}

/** @internal The same context with a signal that `interrupt` drives, and more. The signal is made only when someone asks for it. */
export function interruptible<C extends Context, Added extends object>(ctx: C, interrupt: Interrupt, added: Added): C & Added;
export function interruptible(ctx: Context, interrupt: Interrupt, added: object): object {
  if (ctx instanceof RootContext) return ctx.extend(added, interrupt);
  return Object.defineProperty(deriveContext(ctx, added), "signal", { get: () => interrupt.signal });
}

/** @internal A context to start with whose signal `interrupt` drives, and with more on it: {@link createContext} for whoever has many to make. */
export function startContext(options: Omit<ContextOptions, "signal">, interrupt: Interrupt, added: object): Context {
  return Object.assign(new RootContext(rootOf(options), options.deadline, interrupt, noStages, [], true), added);
}

/**
 * @internal An AbortController made only when someone asks for its signal: most messages never ask, and one costs more than a whole pass.
 *
 * With a `parent` it aborts when that does. A `given` signal stands for itself.
 */
export class Interrupt {
  declare readonly given: AbortSignal | undefined;
  /** Whether it can ever abort. */
  declare readonly live: boolean;
  readonly #parent: Interrupt | undefined;
  #controller: AbortController | undefined;
  #reason: { readonly value: unknown } | undefined;

  /** `live` is the signal itself, where there is one already; else whether it can abort although its parent cannot. */
  constructor(live: boolean | AbortSignal, parent?: Interrupt) {
    this.given = typeof live === "boolean" ? undefined : live;
    this.live = live !== false || (parent?.live ?? false);
    this.#parent = parent?.live ? parent : undefined;
  }

  get signal(): AbortSignal {
    if (this.given !== undefined) return this.given;
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason.value);
      else if (this.#parent !== undefined) this.#follow(this.#parent.signal);
    }
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.#reason ??= { value: reason };
    this.#controller?.abort(reason);
  }

  #follow(signal: AbortSignal): void {
    if (signal.aborted) this.abort(signal.reason);
    else signal.addEventListener("abort", () => this.abort(signal.reason), { once: true });
  }
}

/** What all runs of one context share. */
interface Root {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly attempt: number;
  readonly onReply: ((message: Message) => void) | undefined;
  readonly onEnded: ((reason: EndReason) => void) | undefined;
}

/**
 * @internal One is made for every message that enters a pipeline, so it copies nothing. Extending it makes a flat copy and not a longer prototype
 * chain, which would cost more than all stages together.
 */
export class RootContext implements RunContext {
  declare readonly root: Root;
  declare readonly deadline: number | undefined;
  declare readonly interrupt: Interrupt;
  declare readonly stages: readonly StageName[];
  declare readonly trail: Trail;
  /** Whether stages have added something to it. */
  declare readonly extended: boolean;

  constructor(
    root: Root,
    deadline: number | undefined,
    interrupt: Interrupt,
    stages: readonly StageName[],
    trail: Trail,
    extended: boolean,
  ) {
    this.root = root;
    this.deadline = deadline;
    this.interrupt = interrupt;
    this.stages = stages;
    this.trail = trail;
    this.extended = extended;
  }

  get signal(): AbortSignal {
    return this.interrupt.signal;
  }

  get clock(): Clock {
    return this.root.clock;
  }

  get logger(): Logger {
    return this.root.logger;
  }

  get attempt(): number {
    return this.root.attempt;
  }

  reply(message: Message): void {
    this.root.onReply?.(message);
  }

  ended(reason: EndReason): void {
    this.root.onEnded?.(reason);
  }

  /** A copy with more on it; what is asked of it through accessors is replaced where they look. */
  extend(added: Partial<Context>, driver?: Interrupt): RootContext {
    const { signal, clock = this.clock, logger = this.logger, attempt = this.attempt, ...others } = added;
    const interrupt = driver ?? (signal === undefined ? this.interrupt : new Interrupt(signal));
    const root = { ...this.root, clock, logger, attempt };
    const derived = new RootContext(root, this.deadline, interrupt, this.stages, this.trail, true);
    if (this.extended) Object.assign(derived, this, { root, interrupt });
    return Object.assign(derived, others);
  }

  beginRun(interrupt: Interrupt, deadline: number | undefined, stages: readonly StageName[]): RootContext {
    const run = new RootContext(this.root, deadline, interrupt, stages, [], this.extended);
    return this.extended ? Object.assign(run, this, { deadline, interrupt, stages, trail: run.trail }) : run;
  }
}

const noStages: readonly StageName[] = [];

function rootOf({ clock = systemClock, logger = silentLogger, attempt = 1, onReply, onEnded }: ContextOptions): Root {
  return { clock, logger, attempt, onReply, onEnded };
}

function foreignRoot(ctx: Context): Root {
  const { clock, logger, attempt } = ctx;
  return { clock, logger, attempt, onReply: (message) => ctx.reply(message), onEnded: (reason) => ctx.ended(reason) };
}
