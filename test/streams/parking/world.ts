import type { KeyParking } from "../../../src/pipeline/key-parking.ts";
import type { EventStore } from "../../../src/stores/event-store.ts";
import type { Connection } from "../../../src/streams/index.ts";

import { sleep } from "../../../src/clock.ts";
import { deadLetterStream, type ParkedKeys, parkedKeys } from "../../../src/dead-letters/index.ts";
import { TerminalError } from "../../../src/errors.ts";
import { createMessage, type Message } from "../../../src/message.ts";
import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { type Fault, faultyEventStore } from "../../../src/testing/faulty-event-store.ts";
import { type Random, seededRandom } from "../../simulation/random.ts";
import { type StreamsBench, streamsBench } from "../bench.ts";

/** What is planted into a world to see whether it shows. */
export interface Mutant {
  readonly store?: (store: EventStore) => EventStore;
  readonly parking?: (parkKey: ParkedKeys) => KeyParking;
}

interface World {
  readonly bench: StreamsBench;
  readonly random: Random;
  readonly store: EventStore;
  readonly messages: readonly Message[];
  /** How often each is going to fail for good. */
  readonly failures: Map<string, number>;
  readonly succeeded: Map<string, number>;
  readonly wrong: string[];
  readonly hasFaults: boolean;
  readonly mutant: Mutant;
  isCalm: boolean;
}

/**
 * Runs one world, decided by its seed, until it has come to rest: workers of one subscription that share a broker and a store and die now and then, and operators
 * who redrive the dead-letter stream and die, too. Resolves to what was found wrong.
 */
export async function simulate(seed: number, mutant: Mutant = {}): Promise<readonly string[]> {
  const world = createWorld(seed, mutant);
  let isOver = false;
  const life = live(world).finally(() => (isOver = true));
  for (let steps = 0; !isOver; steps += 1) {
    if (steps > 50_000) return [...world.wrong, "it never came to rest"];
    if (!(await world.bench.clock.runNext()) && !isOver) return [...world.wrong, "everything waits for nothing"];
  }
  await life;
  return world.wrong;
}

function createWorld(seed: number, mutant: Mutant): World {
  const random = seededRandom(seed);
  const bench = streamsBench();
  const messages = ["a", "b"].flatMap((key) =>
    Array.from({ length: 2 + random.below(4) }, (_, number) => createMessage({ id: `${key}${number}`, key, source: "s", content: "" })),
  );
  return {
    bench,
    random,
    store: memoryEventStore({ clock: bench.clock }),
    messages,
    failures: new Map(messages.filter(() => random.chance(0.3)).map(({ id }) => [id, 1 + random.below(2)])),
    succeeded: new Map(),
    wrong: [],
    hasFaults: seed % 3 !== 0,
    mutant,
    isCalm: false,
  };
}

async function live(world: World): Promise<void> {
  const { bench, random, messages, wrong, succeeded, store } = world;
  const { clock, connection } = bench;
  await Promise.all([work(world), work(world)]);
  await Promise.all([publish(world), operate(world), operate(world)]);
  world.isCalm = true;
  await sleep(clock, 60_000);
  const parked = parkedKeys({ store, clock });
  for (let rounds = 0; rounds < 20; rounds += 1) {
    await deadLetterStream(connection, { stream: "failed", clock, idle: 500 }).redrive();
    await sleep(clock, 10_000 + random.below(10));
  }
  wrong.push(...messages.filter(({ id }) => !succeeded.has(id)).map(({ id }) => `${id} was lost`));
  wrong.push(...(await parked.list()).keys.map(({ key }) => `${key} is parked still`));
  await connection.close();
}

async function publish({ bench, random, messages }: World): Promise<void> {
  for (const message of messages.toSorted((one, other) => Number(one.id.slice(1)) - Number(other.id.slice(1)))) {
    await bench.connection.publish("orders", message);
    await sleep(bench.clock, random.between(0, 1_500));
  }
}

/** One worker, and when it dies the next one. */
async function work(world: World): Promise<void> {
  const { bench, random, store, mutant, hasFaults } = world;
  const { clock } = bench;
  const connection = bench.connect();
  let isAlive = true;
  const die = (): void => {
    isAlive = false;
    void bench.kill(connection);
    clock.after(random.between(100, 3_000), () => void work(world));
  };
  const faulty = faultyEventStore(mutant.store?.(store) ?? store, { decide: () => faultOf(world), clock, onCrash: die });
  const parkKey = parkedKeys({ store: faulty, clock });
  const handler = async (_ctx: unknown, message: Message): Promise<void> => {
    await sleep(clock, random.chance(0.1) ? 4_000 : random.between(1, 200));
    if (!isAlive) return new Promise(() => undefined);
    if (!world.isCalm && hasFaults && random.chance(0.05)) faulty.crash();
    if (!isAlive) return new Promise(() => undefined);
    handle(world, message);
  };
  await connection.subscribe("orders", handler, {
    timeout: 3_000,
    retry: { delays: [100, 100] },
    deadLetter: { stream: "failed", parkKey: mutant.parking?.(parkKey) ?? parkKey },
  });
}

function handle({ random, failures, succeeded, messages, wrong, isCalm, hasFaults }: World, { id, key }: Message): void {
  if (!isCalm && random.chance(0.1)) throw new Error("not now");
  const left = isCalm ? 0 : (failures.get(id) ?? 0);
  if (left > 0) {
    failures.set(id, left - 1);
    throw new TerminalError("refused");
  }
  const times = (succeeded.get(id) ?? 0) + 1;
  succeeded.set(id, times);
  if (times > 1 && !hasFaults) wrong.push(`${id} ran twice`);
  const ofKey = messages.filter((message) => message.key === key).map((message) => message.id);
  const overtaken = ofKey.slice(0, ofKey.indexOf(id)).filter((other) => !succeeded.has(other));
  if (overtaken.length > 0) wrong.push(`${id} ran before ${overtaken.join(" and ")}`);
}

/** Somebody who redrives now and then, and whose process may die meanwhile. */
async function operate(world: World): Promise<void> {
  const { bench, random, hasFaults } = world;
  const { clock } = bench;
  for (let times = random.below(4); times > 0; times -= 1) {
    await sleep(clock, random.between(0, 5_000));
    const connection: Connection = bench.connect();
    const redrive = deadLetterStream(connection, { stream: "failed", clock, idle: 300 }).redrive();
    const ended = redrive.then(
      () => true,
      () => true,
    );
    const isOver = await Promise.race([
      ended,
      sleep(clock, hasFaults && random.chance(0.5) ? random.between(0, 400) : 60_000).then(() => false),
    ]);
    if (!isOver) await bench.kill(connection);
    else await connection.close();
  }
}

function faultOf({ random, isCalm, hasFaults }: World): Fault | undefined {
  const when = random.pick(["before", "after"] as const);
  if (!hasFaults || isCalm || !random.chance(0.08)) return { kind: "delay", when, milliseconds: random.between(0, 30) };
  const kind = random.pick(["fail", "crash", "late-write", "delay"] as const);
  if (kind === "delay") return { kind, when, milliseconds: random.between(0, 5_000) };
  return kind === "late-write" ? { kind, milliseconds: random.between(0, 9_000) } : { kind, when };
}
