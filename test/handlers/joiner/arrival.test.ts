import fc from "fast-check";
import { expect, test } from "vitest";

import type { Message } from "../../../src/message.ts";

import { matchAll } from "../../../src/handlers/joiner/condition.ts";
import { event } from "../../claims/deliver.ts";
import { joinOn, oneOf, setUp } from "./joins.ts";

const messages = [event("event1"), event("event2"), event("event3")];
const condition = matchAll("event1", "event2", "event3");

test("any order of arrival, with any repeats, gives one and the same emission", async () => {
  await fc.assert(
    fc.asyncProperty(arrivals(), async (arriving) => {
      const process = joinOn(setUp(), { condition });

      for (const message of arriving) await process.deliver(message);

      expect(process.emitted.map(({ content, id }) => ({ content, id }))).toEqual([
        { content: '{"event1":{},"event2":{},"event3":{}}', id: composedId },
      ]);
    }),
  );
});

test("side by side through several processes, any arrivals give one emission and no delivery fails", async () => {
  await fc.assert(
    fc.asyncProperty(arrivals(), fc.array(fc.nat({ max: 2 }), { minLength: 12, maxLength: 12 }), async (arriving, choices) => {
      const setting = setUp();
      const processes = [joinOn(setting, { condition }), joinOn(setting, { condition }), joinOn(setting, { condition })] as const;

      const deliveries = Promise.all(arriving.map((message, at) => oneOf(processes, choices[at] ?? 0).deliver(message)));
      await setting.clock.advance(5_000);

      expect(await deliveries).toHaveLength(arriving.length);
      expect(processes.flatMap(({ emitted }) => emitted.map(({ id }) => id))).toEqual([composedId]);
    }),
  );
});

test("of two last sources at the same instant at two machines one emits, and the other is told it was a duplicate", async () => {
  const setting = setUp();
  const left = joinOn(setting);
  const right = joinOn(setting);

  const deliveries = Promise.all([left.deliver(event("event1")), right.deliver(event("event2"))]);
  await setting.clock.advance(1_000);

  expect((await deliveries).map(({ ended }) => ended)).toEqual(expect.arrayContaining([undefined, "duplicate"]));
  expect([...left.emitted, ...right.emitted]).toHaveLength(1);
});

test("a member that comes again before the end goes on waiting", async () => {
  const process = joinOn(setUp());
  await process.deliver(event("event1"));

  const again = await process.deliver(event("event1"));

  expect(again.ended).toBe("waiting");
  expect(process.emitted).toEqual([]);
});

test("a member that comes again after the end is a duplicate", async () => {
  const process = joinOn(setUp());
  await process.deliver(event("event1"));
  await process.deliver(event("event2"));

  const again = [await process.deliver(event("event1")), await process.deliver(event("event2"))];

  expect(again.map(({ ended }) => ended)).toEqual(["duplicate", "duplicate"]);
  expect(process.emitted).toHaveLength(1);
});

test("a message that was removed with a former join of its key while it arrived is stored again", async () => {
  const setting = setUp();
  const process = joinOn(setting);
  const list = process.holdNext(({ operation }) => operation === "listSourcesByKey");
  const delivery = process.deliver(event("event1"));
  await setting.clock.advance(0);
  await setting.store.scope("joiner").remove("order-1", "event1");

  list();
  await setting.clock.advance(1_000);
  await process.deliver(event("event2"));

  expect((await delivery).ended).toBe("waiting");
  expect(process.emitted).toHaveLength(1);
});

const composedId = await idOf(messages);

/** Each of the messages at least once, in any order, some of them several times. */
function arrivals(): fc.Arbitrary<readonly Message[]> {
  return fc
    .array(fc.constantFrom(...messages), { maxLength: 5 })
    .chain((repeats) => fc.shuffledSubarray([...messages, ...repeats], { minLength: messages.length + repeats.length }));
}

async function idOf(members: readonly Message[]): Promise<string | undefined> {
  const process = joinOn(setUp(), { condition });
  for (const message of members) await process.deliver(message);
  return process.emitted[0]?.id;
}
