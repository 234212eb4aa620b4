import type { Context } from "../../../src/context.ts";
import type { Message } from "../../../src/message.ts";
import type { EventStore } from "../../../src/stores/event-store.ts";

import { sleep } from "../../../src/clock.ts";
import { createContext } from "../../../src/context.ts";
import { type DeadLetters, deadLetters, type ParkedKeys, parkedKeys } from "../../../src/dead-letters/index.ts";
import { TerminalError } from "../../../src/errors.ts";
import { deadLetter } from "../../../src/handlers/dead-letter/dead-letter.ts";
import { createMessage, identityOf } from "../../../src/message.ts";
import { pipeline, type Pipeline } from "../../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { type Fault, faultyEventStore, type FaultyEventStore } from "../../../src/testing/faulty-event-store.ts";
import { type VirtualClock, virtualClock } from "../../../src/testing/virtual-clock.ts";
import { type Random, seededRandom } from "../../simulation/random.ts";

/** What is planted into a world to see whether it shows. */
export interface Mutant {
  readonly store?: (store: EventStore) => EventStore;
  readonly parking?: (parkKey: ParkedKeys) => ParkedKeys;
}

/** One worker of the pipeline, for as long as it lives. */
interface Worker {
  readonly store: FaultyEventStore;
  readonly shop: Pipeline;
  readonly letters: DeadLetters;
}

interface World {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly messages: readonly Message[];
  readonly workers: Worker[];
  readonly spawn: () => Worker;
  readonly ledger: Ledger;
  /** Everything that may go wrong does, until it is set. */
  isCalm: boolean;
}

/** Whether the world has faults at all: where it has none, nothing may happen twice. */
const faultFree = (seed: number): boolean => seed % 3 === 0;

/**
 * Runs one world, decided by its seed, until it has come to rest: workers that share a store, a source that delivers each key in order and again until it is
 * acknowledged, operators who redrive. Resolves to what was found wrong.
 */
export async function simulate(seed: number, mutant: Mutant = {}): Promise<readonly string[]> {
  const world = createWorld(seed, mutant);
  const keys = Map.groupBy(world.messages, ({ key }) => key).values();
  let isOver = false;
  const life = Promise.all([
    ...Array.from(keys, (messages) => deliverKey(world, seed, messages)),
    ...[1, 2].map(() => operate(world, seed)),
  ])
    .then(() => comeToRest(world))
    .finally(() => (isOver = true));
  for (let steps = 0; !isOver; steps += 1) {
    if (steps > 50_000) return [...world.ledger.wrong, "it never came to rest"];
    if (!(await world.clock.runNext()) && !isOver) return [...world.ledger.wrong, "everything waits for nothing"];
  }
  return [...world.ledger.wrong, ...(await life)];
}

/** What has succeeded, and what was wrong with that. */
class Ledger {
  readonly wrong: string[] = [];
  readonly succeeded = new Map<string, number>();
  readonly #messages: readonly Message[];
  readonly #isFaultFree: boolean;

  constructor(messages: readonly Message[], isFaultFree: boolean) {
    this.#messages = messages;
    this.#isFaultFree = isFaultFree;
  }

  succeed({ id, key }: Message): void {
    const times = (this.succeeded.get(id) ?? 0) + 1;
    this.succeeded.set(id, times);
    if (times > 1 && this.#isFaultFree) this.wrong.push(`${id} ran twice`);
    const ofKey = this.#messages.filter((message) => message.key === key).map((message) => message.id);
    const overtaken = ofKey.slice(0, ofKey.indexOf(id)).filter((other) => !this.succeeded.has(other));
    if (overtaken.length > 0) this.wrong.push(`${id} ran before ${overtaken.join(" and ")}`);
  }
}

function createWorld(seed: number, mutant: Mutant): World {
  const random = seededRandom(seed);
  const clock = virtualClock();
  const messages = ["a", "b"].flatMap((key) =>
    Array.from({ length: 2 + random.below(5) }, (_, number) => createMessage({ id: `${key}${number}`, key, source: "s", content: "" })),
  );
  const failures = new Map(messages.filter(() => random.chance(0.35)).map(({ id }) => [id, 1 + random.below(3)]));
  const shared = memoryEventStore({ clock });
  const ledger = new Ledger(messages, faultFree(seed));
  const { store: wrapStore = (store) => store, parking: wrapParking = (parkKey) => parkKey } = mutant;

  const handle = async (_ctx: Context, message: Message, store: FaultyEventStore): Promise<void> => {
    await sleep(clock, random.chance(0.1) ? 4_000 : random.between(1, 200));
    if (store.crashed) return new Promise(() => undefined);
    if (!world.isCalm && random.chance(0.1)) throw new Error("not now");
    const left = world.isCalm ? 0 : (failures.get(message.id) ?? 0);
    if (left > 0) {
      failures.set(message.id, left - 1);
      throw new TerminalError("refused");
    }
    ledger.succeed(message);
  };
  const spawn = (): Worker => {
    const store = faultyEventStore(wrapStore(shared), { decide: () => faultOf(world, faultFree(seed)), clock });
    const parkKey = wrapParking(parkedKeys({ store, clock }));
    const shop = pipeline()
      .use(deadLetter({ store, parkKey }))
      .use((ctx, message) => handle(ctx, message, store));
    return { store, shop, letters: deadLetters(store, "dead-letters", parkKey) };
  };
  const world: World = { clock, random, messages, workers: [], spawn, ledger, isCalm: false };
  world.workers.push(spawn(), spawn());
  return world;
}

/** Every call takes its time; where there are faults, some go wrong. */
function faultOf({ random, isCalm }: World, isFaultFree: boolean): Fault | undefined {
  const when = random.pick(["before", "after"] as const);
  if (isFaultFree || isCalm || !random.chance(0.06)) return { kind: "delay", when, milliseconds: random.between(0, 30) };
  const kind = random.pick(["fail", "crash", "late-write", "delay"] as const);
  if (kind === "delay") return { kind, when, milliseconds: random.between(0, 8_000) };
  return kind === "late-write" ? { kind, milliseconds: random.between(0, 9_000) } : { kind, when };
}

/** A source that keeps the order of a key: the next message comes when this one was acknowledged, and this one again until then. */
async function deliverKey(world: World, seed: number, messages: readonly Message[]): Promise<void> {
  const { clock, random } = world;
  for (const message of messages) {
    for (let isAcknowledged = false; !isAcknowledged;) {
      const patience = faultFree(seed) ? 1e9 : random.pick([2_000, 30_000]);
      const delivery = workerOf(world).shop.process(createContext({ clock }), message);
      isAcknowledged = await Promise.race([succeeds(delivery), sleep(clock, patience).then(() => false)]);
      await sleep(clock, random.between(0, isAcknowledged ? 100 : 1_000));
    }
  }
}

/** Somebody who redrives now and then, and where that can do harm also replays whatever comes to hand. */
async function operate(world: World, seed: number): Promise<void> {
  const { clock, random } = world;
  for (let times = random.below(6); times > 0; times -= 1) {
    await sleep(clock, random.between(0, 3_000));
    const { letters, shop } = workerOf(world);
    const limit = random.chance(0.3) ? 1 + random.below(3) : Infinity;
    const work = !faultFree(seed) && random.chance(0.3) ? replayAny(world) : letters.redrive(shop, { clock, limit });
    await Promise.race([succeeds(work), sleep(clock, 60_000)]);
  }
}

async function replayAny(world: World): Promise<void> {
  const { letters, shop } = workerOf(world);
  const found = await letters.list();
  const letter = found[world.random.below(found.length)];
  if (letter !== undefined) await letters.replay(shop, letter, createContext({ clock: world.clock }));
}

/** Everything is mended, and somebody redrives until nothing is left. */
async function comeToRest(world: World): Promise<readonly string[]> {
  const { clock, ledger, messages } = world;
  world.isCalm = true;
  await sleep(clock, 60_000);
  const { letters, shop, store } = world.spawn();
  for (let rounds = 0; rounds < 5; rounds += 1) {
    const report = await letters.redrive(shop, { clock });
    if (report.redriven + report.skipped + report.failed.length === 0) break;
    await sleep(clock, 20_000);
  }
  const parked = await parkedKeys({ store, clock }).list();
  const left = (await letters.list()).filter(({ message }) => !ledger.succeeded.has(message.id));
  return [
    ...messages.filter(({ id }) => !ledger.succeeded.has(id)).map(({ id }) => `${id} was lost`),
    ...parked.keys.map(({ key, waiting }) => `${key} is parked still, for ${waiting.join(" and ")}`),
    ...left.map(({ message }) => `${identityOf(message)} is a dead letter still`),
  ];
}

/** A worker that lives; one that has died is replaced. */
function workerOf({ workers, random, spawn }: World): Worker {
  const place = random.below(workers.length);
  const worker = workers[place];
  if (worker !== undefined && !worker.store.crashed) return worker;
  const fresh = spawn();
  workers[place] = fresh;
  return fresh;
}

function succeeds(work: Promise<unknown>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}
