import { expect, test } from "vitest";

import { matchAll } from "../../../src/handlers/joiner/condition.ts";
import { joiner } from "../../../src/handlers/joiner/joiner.ts";
import { pipeline } from "../../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../../src/stores/memory-event-store.ts";
import { deliver, event } from "../../claims/deliver.ts";
import { withoutCompareAndSet } from "../../claims/plain-store.ts";
import { workerOn, type Worker } from "../../claims/worker.ts";
import { entriesOf, type JoinProcess, joinOn, setUp, type Setting } from "./joins.ts";

const one = event("event1");
const two = event("event2");

test("outcomes and windows are kept in the store for claims, and messages in the other", async () => {
  const { setting, claims, process } = separate();

  await process.deliver(one);
  await process.deliver(two);

  expect(process.emitted).toHaveLength(1);
  expect(await entriesOf(setting.store)).toEqual(["event1", "event2"]);
  expect(await entriesOf(claims.store)).toEqual(["~outcome", "~window"]);
});

test("with claims apart the messages may be in a store that cannot compare and set", async () => {
  const setting = setUp();
  const store = withoutCompareAndSet(setting.store);
  const emitted: unknown[] = [];
  const orders = pipeline()
    .use(joiner({ store, claims: memoryEventStore({ clock: setting.clock }), condition: matchAll("event1", "event2") }))
    .use(async (_ctx, message) => void emitted.push(message.content));
  await deliver(orders, setting.clock, event("event1", { id: "b", content: '{"counts":true}', time: "2024-05-01T10:00:00Z" }));
  await deliver(orders, setting.clock, event("event1", { id: "a", time: "2024-05-01T09:00:00Z" }));

  await deliver(orders, setting.clock, two);

  expect(emitted).toEqual(['{"event1":{"counts":true},"event2":{}}']);
});

test("with claims apart an ended join is removed from both stores after its retention", async () => {
  const { setting, claims, process } = separate();
  await process.deliver(one);
  await process.deliver(two);

  for (let sweep = 0; sweep < 3; sweep += 1) {
    await setting.clock.advance(60_000);
    await process.sweep();
  }

  expect(await entriesOf(setting.store)).toEqual([]);
  expect(await entriesOf(claims.store)).toEqual([]);
});

test("with claims apart a message is not acknowledged on the word of a list from before its entry was removed", async () => {
  const { setting, claims, process } = separate();
  const sweeper = sweeperOf(setting, claims);
  await process.deliver(one);
  await setting.clock.advance(60_000);
  await sweeper.sweep();
  await setting.clock.advance(60_000);
  // The message is stored, and before it has looked for an outcome, sweeps remove both its entry and the outcome.
  const look = claims.holdNext(({ operation }) => operation === "listSourcesByKey");
  const repeat = process.deliver(event("event1", { id: "newer", time: "2024-05-01T10:00:00Z" }));
  await setting.clock.advance(0);
  await sweeper.sweep();
  await setting.clock.advance(10_000);
  await sweeper.sweep();

  look();
  await setting.clock.advance(1_000);

  expect((await repeat).ended).toBe("waiting");
  expect(await entriesOf(setting.store)).toEqual(["event1"]);
});

function separate(): { readonly setting: Setting; readonly claims: Worker; readonly process: JoinProcess } {
  const setting = setUp();
  const claims = workerOn(memoryEventStore({ clock: setting.clock }));
  return { setting, claims, process: joinOn(setting, { claims: claims.store, retention: 60_000, window: { size: 60_000 } }) };
}

function sweeperOf(setting: Setting, claims: Worker): JoinProcess {
  return joinOn(setting, { claims: workerOn(claims.store).store, retention: 60_000, window: { size: 60_000 } });
}
