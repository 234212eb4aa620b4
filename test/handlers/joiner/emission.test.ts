import { expect, test } from "vitest";

import type { Message } from "../../../src/message.ts";

import { matchAll } from "../../../src/handlers/joiner/condition.ts";
import { event } from "../../claims/deliver.ts";
import { joinOn, setUp } from "./joins.ts";

const one = event("event1", { time: "2024-05-01T10:00:00Z" });
const two = event("event2", { time: "2024-05-01T11:00:00Z" });

test("a message waits until the condition holds, and the one that completes it passes on the join", async () => {
  const process = joinOn(setUp());

  const first = await process.deliver(one);
  const emittedBefore = process.emitted.length;
  const second = await process.deliver(two);

  expect(first.ended).toBe("waiting");
  expect(emittedBefore).toBe(0);
  expect(second.ended).toBeUndefined();
  expect(process.emitted).toHaveLength(1);
});

test("keys are joined apart from one another", async () => {
  const process = joinOn(setUp());

  await process.deliver(event("event1", { key: "order-1" }));
  await process.deliver(event("event2", { key: "order-2" }));
  await process.deliver(event("event2", { key: "order-1" }));

  expect(process.emitted.map(({ key }) => key)).toEqual(["order-1"]);
});

test("the id is the same for any order of arrival", async () => {
  const forwards = await idOf([one, two]);
  const backwards = await idOf([two, one]);

  expect(backwards).toBe(forwards);
});

test("the id is the same whatever the content and the time of day", async () => {
  const other = await idOf([{ ...one, content: "other" }, two]);

  expect(other).toBe(await idOf([one, two]));
});

test.for([
  ["key", [event("event1", { key: "order-2" }), event("event2", { key: "order-2" })], "joiner"],
  ["scope", [one, two], "another scope"],
  ["member's id", [event("event1", { id: "b" }), two], "joiner"],
  ["member's origin", [event("event1", { origin: "/shop#event1" }), two], "joiner"],
] as const)("the id is another for another %s", async ([_what, messages, scope]) => {
  const other = await idOf(messages, scope);

  expect(other).not.toBe(await idOf([one, two]));
});

test("ids of members cannot be shifted into one another to give the same id", async () => {
  const together = await idOf([event("event1", { id: 'a","b' }), event("event2", { id: "c" })]);
  const apart = await idOf([event("event1", { id: "a" }), event("event2", { id: 'b","c' })]);

  expect(apart).not.toBe(together);
});

test("the time is the latest of its members, in the words of that member", async () => {
  const process = joinOn(setUp());
  await process.deliver(event("event1", { time: "2024-05-01T13:30:00.5+02:00" }));

  await process.deliver(event("event2", { time: "2024-05-01T11:29:59Z" }));

  expect(process.emitted).toMatchObject([{ time: "2024-05-01T13:30:00.5+02:00" }]);
});

test("members without a time do not hide the time of those that have one", async () => {
  const process = joinOn(setUp());
  await process.deliver(one);

  await process.deliver(event("event2"));

  expect(process.emitted).toMatchObject([{ time: "2024-05-01T10:00:00Z" }]);
});

test("without any time among the members the time is that of the clock", async () => {
  const process = joinOn(setUp());
  await process.deliver(event("event1"));

  await process.deliver(event("event2"));

  expect(process.emitted).toMatchObject([{ time: "2024-05-01T12:00:00.000Z" }]);
});

test("the reply given behind the joiner is given again to a duplicate of any member", async () => {
  const receipt = event("receipts", { content: new Uint8Array([0, 255]) });
  const process = joinOn(setUp(), {}, (ctx) => ctx.reply(receipt));
  await process.deliver(one);
  const second = await process.deliver(two);

  const again = await process.deliver(one);

  expect(second.reply).toEqual(receipt);
  expect(again).toEqual({ ended: "duplicate", reply: receipt });
});

test("a condition that always holds emits the first message alone", async () => {
  const process = joinOn(setUp(), { condition: matchAll() });

  await process.deliver(one);

  expect(process.emitted).toMatchObject([{ content: '{"event1":{}}' }]);
});

test("a source that the condition does not name is part of the join when it came before the end", async () => {
  const process = joinOn(setUp());
  await process.deliver(one);
  await process.deliver(event("note", { content: '{"text":"please ring"}' }));

  await process.deliver(two);

  expect(process.emitted).toMatchObject([{ content: '{"event1":{},"event2":{},"note":{"text":"please ring"}}' }]);
});

async function idOf(messages: readonly Message[], scope = "joiner"): Promise<string | undefined> {
  const process = joinOn(setUp(), { scope });
  for (const message of messages) await process.deliver(message);
  return process.emitted[0]?.id;
}
