import { expect, test } from "vitest";

import type { Message } from "../../../src/message.ts";

import { event, failureOf } from "../../claims/deliver.ts";
import { entriesOf, type JoinProcess, joinOn, setUp, type Setting } from "./joins.ts";

const newer = event("event1", { id: "newer", time: "2024-05-01T11:00:00Z" });

test("a message that would have changed an ended join goes to onLate and is then removed", async () => {
  const late: Message[] = [];
  const { setting, process } = await joined((message) => late.push(message));

  const delivery = await process.deliver(event("note"));

  expect(delivery.ended).toBe("late");
  expect(late).toEqual([event("note")]);
  expect(await entriesOf(setting.store)).toEqual(["event1", "event2", "~outcome"]);
});

test("a newer event of a member, after the end, is late and does not change what was emitted", async () => {
  const late: Message[] = [];
  const { process } = await joined((message) => late.push(message));

  const delivery = await process.deliver(newer);

  expect(delivery.ended).toBe("late");
  expect(late).toEqual([newer]);
  expect(process.emitted).toHaveLength(1);
});

test("a member that comes again after a newer event of its source was late is still a duplicate", async () => {
  const { process } = await joined();
  await process.deliver(newer);

  const again = await process.deliver(event("event1"));

  expect(again.ended).toBe("duplicate");
});

test("a late message whose onLate fails is delivered again, is late again, and is then removed", async () => {
  let calls = 0;
  const { setting, process } = await joined(() => {
    calls += 1;
    if (calls === 1) throw new Error("late topic is down");
  });

  const refusal = await failureOf(process.deliver(event("note")));
  const again = await process.deliver(event("note"));

  expect(refusal).toMatchObject({ retryable: true, message: expect.stringContaining("late topic is down") });
  expect(again.ended).toBe("late");
  expect(calls).toBe(2);
  expect(await entriesOf(setting.store)).toEqual(["event1", "event2", "~outcome"]);
});

test("a late message is still late after its join's entries went with their retention", async () => {
  const late: Message[] = [];
  const { setting, process } = await joined((message) => late.push(message), { retention: 60_000 });
  await setting.clock.advance(60_000);
  await process.sweep();

  const delivery = await process.deliver(newer);

  expect(delivery.ended).toBe("late");
  expect(await entriesOf(setting.store)).toEqual(["~outcome"]);
});

test("a duplicate member is still a duplicate after its join's entries went with their retention, and leaves nothing", async () => {
  const { setting, process } = await joined(() => {}, { retention: 60_000 });
  await setting.clock.advance(60_000);
  await process.sweep();

  const delivery = await process.deliver(event("event1"));

  expect(delivery.ended).toBe("duplicate");
  expect(await entriesOf(setting.store)).toEqual(["~outcome"]);
});

test("unless told otherwise a late message is logged by its identity, without content", async () => {
  const warnings: object[] = [];
  const setting = setUp();
  const process = joinOn(setting);
  await process.deliver(event("event1"));
  await process.deliver(event("event2"));
  const logger = { debug() {}, info() {}, error() {}, warn: (fields: object) => void warnings.push(fields) };

  await process.deliver(event("note", { content: "secret" }), { logger });

  expect(warnings).toEqual([{ id: "note-a", key: "order-1", source: "note" }]);
});

async function joined(
  onLate: (message: Message) => unknown = () => {},
  options: { readonly retention?: number } = {},
): Promise<{ readonly setting: Setting; readonly process: JoinProcess }> {
  const setting = setUp();
  const process = joinOn(setting, { ...options, onLate: (_ctx, message) => void onLate(message) });
  await process.deliver(event("event1", { time: "2024-05-01T10:00:00Z" }));
  await process.deliver(event("event2"));
  return { setting, process };
}
