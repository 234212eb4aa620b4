import type { Coverage } from "./coverage.ts";
import type { ModelEvent } from "./ledger.ts";
import type { Scenario } from "./scenario.ts";

import { createMessage } from "../../src/message.ts";
import { Sender } from "./sender.ts";
import { judge } from "./verdict.ts";
import { World, type WorldOptions } from "./world.ts";

export interface SimulationOptions {
  readonly seed: number;
  readonly scenario: Scenario;
  readonly coverage: Coverage;
  readonly onTrace?: WorldOptions["onTrace"];
  readonly mutateStore?: WorldOptions["mutateStore"];
}

/** How long senders are given, after the last fault, to get everything accepted. */
const patience = 90_000;

/** Runs one seed to its end. Resolves to what was wrong; empty when nothing was. */
export async function simulate({ onTrace, mutateStore = (store) => store, ...options }: SimulationOptions): Promise<readonly string[]> {
  const world = new World({ ...options, onTrace, mutateStore });
  const { scheduler, ledger, scenario } = world;
  const isWrong = (): boolean => ledger.violations.length > 0;
  const senders = sendersOf(world);
  const areDone = (): boolean => senders.every((sender) => sender.isDone);

  await scheduler.run(scenario.faultsUntil + patience, () => isWrong() || (areDone() && scheduler.now > scenario.faultsUntil));
  if (!isWrong() && !areDone()) ledger.report("senders still send: something is never accepted");
  // What was given up, or is on its way, comes to its end before anything is judged.
  await scheduler.run(scheduler.now + 20_000, isWrong);
  if (scenario.sweeps) {
    world.close();
    const leases = Math.max(30_000, 10 * scenario.lease);
    await scheduler.run(scheduler.now + scenario.retention + 2 * scenario.skew + leases, isWrong);
  }
  if (!isWrong()) await judge(world);
  return ledger.violations;
}

function sendersOf(world: World): readonly Sender[] {
  const { scenario, random, scheduler, ledger } = world;
  const options = { scenario, scheduler, random, ledger, trace: world.trace, receiver: world.receiver };
  const senders: Sender[] = [];
  const send = (events: readonly ModelEvent[], from: number): void => {
    const at = from + random.between(0, scenario.spread);
    senders.push(new Sender(options, events, at));
    // Another producer, or the same one that has forgotten, sends the same again.
    for (let copies = 0; copies < 2 && random.chance(0.3); copies += 1)
      senders.push(new Sender(options, events, at + random.between(0, random.pick([50, 12_000]))));
  };
  const generations = scenario.reuse ? [0, scenario.retention + random.between(-1_500, 7_000)] : [0];
  for (const [generation, from] of generations.entries()) {
    const events = eventsOf(world, generation);
    for (const event of events) ledger.events.set(event.message.id, event);
    if (scenario.batches) for (const batch of Object.values(Object.groupBy(events, () => String(random.below(3))))) send(batch ?? [], from);
    else for (const event of events) send([event], from);
  }
  return senders;
}

function eventsOf({ scenario, random }: World, generation: number): readonly ModelEvent[] {
  const events: ModelEvent[] = [];
  for (let order = 0; order < scenario.orders; order += 1) {
    for (const source of sourcesOf(scenario, random.chance(0.3))) {
      const versions = random.chance(scenario.repeats) ? 2 : 1;
      for (let version = 0; version < versions; version += 1) {
        const key = `order-${order}`;
        // Without a joiner, another version is the same event with other content: what fingerprints are for.
        const id = scenario.joiner === "none" ? `${key}/${source}` : `${key}/${source}/${generation}/${version}`;
        const content = JSON.stringify({ id, version });
        const time = `2024-01-01T00:00:0${random.below(2)}Z`;
        events.push({ order: key, message: { ...createMessage({ id, key, source, time, content }), content } });
      }
    }
  }
  return events;
}

function sourcesOf({ condition }: Scenario, isCancelled: boolean): readonly string[] {
  if (condition === "all") return ["event1", "event2", "event3"];
  return isCancelled ? ["event1", "event2", "cancel"] : ["event1", "event2"];
}
