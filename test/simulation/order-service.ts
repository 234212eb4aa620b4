import type { ClaimContext } from "../../src/claims/guard.ts";
import type { Context } from "../../src/context.ts";
import type { AnyMessage, Handler } from "../../src/pipeline/handler.ts";
import type { EventStore } from "../../src/stores/event-store.ts";
import type { Ledger } from "./ledger.ts";
import type { Random } from "./random.ts";
import type { Scenario } from "./scenario.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

import { sleep } from "../../src/clock.ts";
import { TerminalError } from "../../src/errors.ts";
import { deadLetter } from "../../src/handlers/dead-letter/dead-letter.ts";
import { idempotency } from "../../src/handlers/idempotency/idempotency.ts";
import { type Condition, matchAll, matchNone } from "../../src/handlers/joiner/condition.ts";
import { joiner } from "../../src/handlers/joiner/joiner.ts";
import { createMessage, type Message } from "../../src/message.ts";
import { type Pipeline, pipeline, type Processor } from "../../src/pipeline/pipeline.ts";
import { deadLetterScope } from "./call-sites.ts";
import { never } from "./simulated-process.ts";
import { stepInOwnRecord } from "./step-mutant.ts";

export interface ServiceOptions {
  readonly process: SimulatedProcess;
  readonly store: EventStore;
  /** Where the joiner keeps messages. */
  readonly entries: EventStore;
  readonly scenario: Scenario;
  readonly ledger: Ledger;
  readonly random: Random;
  /** Whether the claim under which a message is handled has had a newer owner for some time. */
  readonly isStale: (message: Message, fence: number) => boolean;
}

/** The order whose events are poison, where there are any. */
export const poisonedOrder = "order-0";

export function conditionOf({ condition }: Scenario): Condition {
  return condition === "all" ? matchAll("event1", "event2", "event3") : matchAll("event1", "event2").and(matchNone("cancel"));
}

/** The pipeline under test, as one process has it. */
export function orderService(options: ServiceOptions): Processor {
  const { store, scenario } = options;
  const { lease, retention, maxAttempts, fingerprint } = scenario;
  const claims = { store, lease, wait: 1_000, retention, ...(maxAttempts !== undefined && { maxAttempts }) };
  const start: Pipeline = scenario.deadLetter ? pipeline().use(deadLetter({ store, scope: deadLetterScope, retention })) : pipeline();
  return joined(options, start)
    .use(idempotency({ ...claims, ...(fingerprint && { fingerprint: contentOf }) }))
    .use((ctx, message) => handle(options, ctx, message));
}

/** Typed as it is without a joiner; what a joiner adds to the context, idempotency adds too. */
function joined({ process, store, entries, scenario, ledger }: ServiceOptions, start: Pipeline): Pipeline {
  const { lease, retention, maxAttempts, repeated, window } = scenario;
  const common = { store, condition: conditionOf(scenario), repeated, retention };
  if (scenario.joiner === "none") return start;
  if (scenario.joiner === "each") return start.use(joiner({ ...common, emit: "each" }));
  const join: Handler = joiner({
    ...common,
    store: entries,
    claims: store,
    lease,
    wait: 1_000,
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(window && { window }),
    onLate: (_ctx, { id }) => void ledger.late.add(id),
    onTimeout: (ctx, timeout) => send({ process, ledger, kind: "timeout", ctx, message: timeout.message }),
    onFailure: (_ctx, { key }) => void ledger.failuresTold.add(key),
  });
  return start.use(join);
}

async function handle(options: ServiceOptions, ctx: Context & ClaimContext, message: Message): Promise<void> {
  const { process, scenario, ledger, random } = options;
  ledger.began(message.id);
  if (options.isStale(message, ctx.fence)) ledger.report(`${message.id} was begun under fence ${ctx.fence}, after the claim had been lost`);
  if (scenario.poison !== "none" && message.key === poisonedOrder) {
    if (scenario.poison === "terminal") throw new TerminalError("this order can never be processed");
    process.crash();
    return never();
  }
  if (random.chance(scenario.flakiness)) throw new Error("not now");
  const takesSignal = random.chance(0.5);
  if (scenario.steps !== "none") {
    await charge(options, ctx, message);
    await rest(options, ctx);
    await charge(options, ctx, message, "ship");
  }
  await rest(options, ctx);
  await send({ process, ledger, kind: "complete", ctx: takesSignal ? ctx : undefined, message });
  ctx.reply(createMessage({ id: message.id, key: message.key, source: "reply", content: message.id }));
}

/** A part of the work whose result is different each time it is really done. */
async function charge(
  { process, store, scenario, ledger, random }: ServiceOptions,
  ctx: Context & ClaimContext,
  { id, key }: Message,
  name = "charge",
): Promise<void> {
  const step = scenario.steps === "claim" ? ctx.step : stepInOwnRecord(store, key);
  const what = `${name} of ${id}`;
  const body = (): Promise<string> =>
    process.call({ site: "sink", about: what, isRead: false, signal: undefined }, async () => {
      ledger.happened(what, process);
      return `receipt ${random.below(1_000_000)}`;
    });
  ledger.given(what, await step(name, body, { input: id }));
}

async function rest({ scenario, random }: ServiceOptions, ctx: Context): Promise<void> {
  if (scenario.work > 0) await sleep(ctx.clock, random.between(0, scenario.work));
}

interface Sending {
  readonly process: SimulatedProcess;
  readonly ledger: Ledger;
  readonly kind: "complete" | "timeout";
  readonly ctx: Context | undefined;
  readonly message: Message;
}

/** Sends to the model of the other side, which keeps every delivery. */
async function send({ process, ledger, kind, ctx, message }: Sending): Promise<void> {
  const { id, key, source, content } = message;
  const effect = { id, key, source, kind, content: String(content) };
  await process.call({ site: "sink", about: `${kind} ${key} ${id.slice(0, 8)}`, isRead: false, signal: ctx?.signal }, async () =>
    ledger.arrived(effect, process),
  );
}

function contentOf({ content }: AnyMessage): string {
  return String(content);
}
