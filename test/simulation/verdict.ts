import type { Message } from "../../src/message.ts";
import type { EventStore, StoredMessage } from "../../src/stores/event-store.ts";
import type { Effect, Ledger, ModelEvent } from "./ledger.ts";
import type { World } from "./world.ts";

import { outcomeEntry, sourceOf, windowEntry } from "../../src/handlers/joiner/entries.ts";
import { memberOf, takesPlace } from "../../src/handlers/joiner/members.ts";
import { claimOf } from "./call-sites.ts";
import { conditionOf, poisonedOrder } from "./order-service.ts";

/** What is known of a world that has come to rest. */
interface Rest {
  readonly world: World;
  /** The effects that hold an event, by its id. */
  readonly effectsOf: ReadonlyMap<string, readonly Effect[]>;
  /** What the joiner has left, by key. */
  readonly left: ReadonlyMap<string, readonly StoredMessage[]>;
  /** Ids of the events that still wait. */
  readonly waiting: ReadonlySet<string>;
}

/** Reports everything that must not be so when all is over. */
export async function judge(world: World): Promise<void> {
  const { scenario, ledger } = world;
  const left = new Map(await entriesOf(world.store, "joiner"));
  if (scenario.claimsApart) {
    for (const [key, entries] of await entriesOf(world.entries, "joiner")) left.set(key, [...(left.get(key) ?? []), ...entries]);
  }
  const effectsOf = new Map<string, Effect[]>();
  for (const effect of ledger.effects.values()) {
    for (const event of eventsIn(effect, ledger)) effectsOf.set(event, [...(effectsOf.get(event) ?? []), effect]);
  }
  const waiting = new Set([...left.values()].flat().map(({ message }) => message.id));
  const rest: Rest = { world, effectsOf, left, waiting };
  for (const event of ledger.events.values()) if (ledger.accepted.has(event.message.id)) judgeAccepted(rest, event);
  for (const [id, runs] of ledger.runs) {
    const isPoison = scenario.poison === "crash" && id !== "" && scenario.maxAttempts !== undefined;
    if (isPoison && runs > (scenario.maxAttempts ?? 0)) ledger.report(`${id} took its process with it ${runs} times`);
  }
  for (const effect of ledger.effects.values()) judgeCompletion(rest, effect);
  if (scenario.joiner !== "none") for (const effect of ledger.effects.values()) judgeJoin(rest, effect);
  if (scenario.joiner === "once") judgeEnds(rest);
  await judgeClaimsLeft(world);
}

/** Nothing that was acknowledged is lost: it came out, was reported, counts no more beside another, or still waits. */
function judgeAccepted(rest: Rest, event: ModelEvent): void {
  const { ledger, scenario } = rest.world;
  const { id } = event.message;
  const mayFail = scenario.maxAttempts !== undefined || (scenario.poison !== "none" && event.order === poisonedOrder);
  const isTold = mayFail && ledger.failuresTold.has(scenario.joiner === "none" ? id : event.order);
  const isOut = rest.effectsOf.has(id) || rest.waiting.has(id);
  if (!isOut && !ledger.late.has(id) && !isTold && !isSuperseded(rest, event)) ledger.report(`${id} was acknowledged and is lost`);
}

/** Whether another event of its source, which came out or still waits, counts instead of it. */
function isSuperseded(rest: Rest, event: ModelEvent): boolean {
  return [...rest.world.ledger.events.values()].some(
    (other) => (rest.effectsOf.has(other.message.id) || rest.waiting.has(other.message.id)) && supersedes(other, event, rest),
  );
}

function supersedes(other: ModelEvent, event: ModelEvent, { world }: Rest): boolean {
  if (other.order !== event.order || other.message.source !== event.message.source) return false;
  return takesPlace(memberOf(other.message), memberOf(event.message), world.scenario.repeated);
}

/** What came out of anything acknowledged is recorded as done, once; a key that is used again may be done twice. */
function judgeCompletion({ world }: Rest, effect: Effect): void {
  const { ledger, scenario } = world;
  const events = eventsIn(effect, ledger);
  const isAcknowledged = (id: string): boolean => ledger.accepted.has(id);
  // Without a sweep an emission is finished by the delivery that is not acknowledged until then.
  const isAccepted = scenario.sweeps ? events.some(isAcknowledged) : events.every(isAcknowledged);
  const completions = world.completionsOf(effect);
  // A joiner that emits each time never finishes an emission whose members have been replaced since.
  const mayBeUnfinished = !isAccepted || scenario.maxAttempts !== undefined || scenario.joiner === "each";
  const isRight = completions === 1 || (completions === 0 ? mayBeUnfinished : scenario.reuse);
  if (!isRight) ledger.report(`${effect.id} of ${effect.key} was recorded as done ${completions} times`);
}

/** What was emitted is what its members make, and ended the way they say. */
function judgeJoin({ world }: Rest, { id, key, kind, content }: Effect): void {
  const { ledger, scenario } = world;
  const parts: Record<string, { readonly id: string }> = JSON.parse(content);
  const expected = Object.entries(parts).map(([source, part]) => {
    const event = ledger.events.get(part.id);
    if (event === undefined || event.order !== key || event.message.source !== source)
      ledger.report(`${id} holds ${part.id}, which is not of ${key}`);
    return `${JSON.stringify(source)}:${event?.message.content}`;
  });
  if (content !== `{${expected.sort().join(",")}}`) ledger.report(`${id} is not composed of its members`);
  const holds = conditionOf(scenario).holds(new Set(Object.keys(parts)));
  if (holds !== (kind === "complete")) ledger.report(`${id} of ${key} is a ${kind} of ${Object.keys(parts).join(", ")}`);
}

/** Each order ends once, and leaves nothing behind. */
function judgeEnds(rest: Rest): void {
  const { world, effectsOf, left } = rest;
  const { ledger, scenario } = world;
  for (const [event, effects] of effectsOf) {
    if (effects.length > 1) ledger.report(`${event} came out in ${effects.length} different joins`);
    if (!scenario.reuse && ledger.late.has(event)) ledger.report(`${event} came out, and was reported as late`);
  }
  const byKey = Map.groupBy(ledger.effects.values(), (effect) => effect.key);
  for (const [key, effects] of byKey) if (!scenario.reuse && effects.length > 1) ledger.report(`${key} ended ${effects.length} times`);
  for (const [key, entries] of left) judgeLeft(rest, key, entries);
}

function judgeLeft(rest: Rest, key: string, entries: readonly StoredMessage[]): void {
  const { world, effectsOf } = rest;
  const { ledger, scenario } = world;
  const messages = entries.map(({ message }) => message);
  const members = messages.filter(({ source }) => sourceOf(source) !== undefined);
  const outcome = messages.find((message) => message.source === outcomeEntry);
  const record = outcome && claimOf(outcome);
  const isOpen = record === undefined || (record.phase === "released" && record.data === undefined);
  // What was never acknowledged may be left half done, where its sender has given up and nobody sweeps.
  // And a repeat that came as its key became free again, of an event that was over, is nobody's loss.
  const isPending = ({ id }: Message): boolean => ledger.accepted.has(id) && !effectsOf.has(id) && !ledger.late.has(id);
  const areAccepted =
    members.length > 0 && (scenario.reuse ? members.every(isPending) : members.every(({ id }) => ledger.accepted.has(id)));
  const sources = new Set(members.map(({ source }) => source));
  if (areAccepted && isOpen && conditionOf(scenario).holds(sources)) ledger.report(`${key} is stuck: complete, and never emitted`);
  if (areAccepted && !isOpen && record?.phase !== "done" && record?.phase !== "failed") ledger.report(`${key} is stuck: ${record?.phase}`);
  if (!scenario.sweeps) return;
  if (!isOpen) ledger.report(`${key} has left its outcome behind, ${record?.phase}`);
  if (messages.some((message) => message.source === windowEntry)) ledger.report(`${key} has left its window behind`);
  for (const { id } of members) {
    const event = ledger.events.get(id);
    const isOver = effectsOf.has(id) || ledger.late.has(id) || (event !== undefined && isSuperseded(rest, event));
    if (isOver && !scenario.reuse) ledger.report(`${id} is over, and stored for ever`);
    if (!isOver && scenario.window && ledger.accepted.has(id)) ledger.report(`${id} waits for ever, and has a window`);
  }
}

/** Claims of an idempotency stage go by themselves; one without a time to go at would stay for ever. */
async function judgeClaimsLeft(world: World): Promise<void> {
  for (const [key, entries] of await entriesOf(world.store, "idempotency")) {
    for (const entry of entries) if (entry.expiresAt === undefined) world.ledger.report(`the claim of ${key} is stored for ever`);
  }
}

function eventsIn({ id, content }: Effect, { events }: Ledger): readonly string[] {
  if (events.has(id)) return [id];
  const parts: Record<string, { readonly id: string }> = JSON.parse(content);
  return Object.values(parts).map((part) => part.id);
}

async function entriesOf(store: EventStore, scope: string): Promise<ReadonlyMap<string, readonly StoredMessage[]>> {
  const scoped = store.scope(scope);
  const keys = await scoped.listKeys({ limit: 1_000 });
  return new Map(await Promise.all(keys.map(async (key) => [key, await scoped.lookUpByKey(key)] as const)));
}
