import { virtualClock } from "event-driver/testing";
import { expect, test } from "vitest";

import { settingsOf } from "../src/options.ts";
import { heartbeat, Roster } from "../src/roster.ts";

const me = { id: "me", exclusive: false };
const somebody = { id: "somebody", exclusive: false };
const loner = { id: "loner", exclusive: true };

test("the lowest session that nobody holds is taken", async () => {
  const { roster, hear } = await openRoster();
  hear(0, "held", somebody);
  hear(1, "left", somebody);

  expect([roster.claim(me), roster.claim(me)]).toEqual([1, 2]);
  roster.unclaim(1);
  expect(roster.claim(me)).toBe(1);
});

test("a session whose holder is silent for three heartbeats is free", async () => {
  const { roster, hear, clock } = await openRoster();
  hear(0, "held", somebody);

  await clock.advance(3 * heartbeat - 1);
  expect(roster.claim(me)).toBe(1);
  await clock.advance(1);
  expect(roster.claim(me)).toBe(0);
});

test("the age of a note is what the broker says, whatever the clocks of others say", async () => {
  const { roster, hear } = await openRoster();

  hear(0, "held", somebody, (3 * heartbeat) / 1_000);

  expect(roster.claim(me)).toBe(0);
});

test("who else has the name, and whether he wants it alone, is known of notes and of this process", async () => {
  const { roster, hear } = await openRoster();
  expect(roster.others("me")).toEqual({ any: false, exclusive: false });

  roster.claim(me);
  hear(0, "held", me);
  expect(roster.others("me")).toEqual({ any: false, exclusive: false });
  expect(roster.others("somebody")).toEqual({ any: true, exclusive: false });

  hear(1, "held", loner);
  expect(roster.others("me")).toEqual({ any: true, exclusive: true });
  hear(1, undefined, loner);
  expect(roster.others("me")).toEqual({ any: false, exclusive: false });
});

test("a session is taken when somebody else has written that he holds it", async () => {
  const { roster, hear } = await openRoster();
  hear(0, "left", me);
  expect(roster.isTaken(0, "me")).toBe(false);

  hear(0, "held", me);
  expect(roster.isTaken(0, "me")).toBe(false);
  hear(0, "held", somebody);
  expect(roster.isTaken(0, "me")).toBe(true);
});

test("what was left behind is told when nobody has come for it in time, and again until somebody does", async () => {
  const { roster, hear, clock, abandoned } = await openRoster();
  hear(0, "left", somebody);
  hear(1, "held", somebody);

  await clock.advance(9_000);
  expect(abandoned).toEqual([]);
  await clock.advance(10_000);
  expect(new Set(abandoned)).toEqual(new Set([0]));

  expect(roster.claimLeft(0, me)).toBe(true);
  expect(roster.claimLeft(0, somebody), "it is taken").toBe(false);
  abandoned.length = 0;
  await clock.advance(10_000);
  expect(abandoned).toEqual([]);
  roster.close();
});

test("what others write into the same topics is no note", async () => {
  const { roster } = await openRoster();

  for (const payload of ["", "{", "null", "[]", '{"state":"held"}', '{"state":"gone","owner":"x","exclusive":false,"expiry":1}']) {
    expect(roster.take("event-driver/sessions/shop-billing/0", payload, undefined)).toBe(true);
  }
  expect(roster.take("event-driver/sessions/shop-billing/0/end", "x", undefined)).toBe(true);

  expect(roster.take("event-driver/sessions/shop-billing-2/0", "x", undefined), "that of another position").toBe(false);
  expect(roster.claim(me)).toBe(0);
});

async function openRoster() {
  const clock = virtualClock();
  const abandoned: number[] = [];
  const roster: Roster = new Roster({
    settings: settingsOf({ url: "mqtt://localhost", clock, takeOverAfter: 10_000 }),
    sessions: "shop-billing",
    wire: {
      subscribe: async () => {},
      unsubscribe: () => {},
      publish: async (topic, payload) => void roster.take(topic, payload, undefined),
    },
    onAbandoned: (slot) => abandoned.push(slot),
  });
  await roster.open();
  return {
    roster,
    clock,
    abandoned,
    /** As the broker tells it, some seconds after it was written. */
    hear: (slot: number, state: "held" | "left" | undefined, holder: typeof me, age = 0): void => {
      const { topic, payload } = roster.noteOf(slot, state ?? "left", holder);
      roster.take(topic, state === undefined ? "" : String(payload), 604_800 - age);
    },
  };
}
