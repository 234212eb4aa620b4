import { virtualClock } from "event-driver/testing";
import { expect, test, vi } from "vitest";

import { sleep } from "../../src/clock.ts";

test("a virtual clock stands still until it is told to move", async () => {
  const clock = virtualClock({ now: 1_000 });

  await clock.advance(250);

  expect(clock.now()).toBe(1_250);
});

test("timers fire by time, and those of one time in the order they were set", async () => {
  const clock = virtualClock();
  const fired: string[] = [];
  clock.after(20, () => fired.push("late"));
  clock.after(10, () => fired.push("first of two"));
  clock.after(10, () => fired.push("second of two"));

  await clock.advance(20);

  expect(fired).toEqual(["first of two", "second of two", "late"]);
});

test("a timer sees its own time as now", async () => {
  const clock = virtualClock();
  const seen: number[] = [];
  clock.after(30, () => seen.push(clock.now()));

  await clock.advance(100);

  expect(seen).toEqual([30]);
});

test("advancing stops short of timers that are not due yet", async () => {
  const clock = virtualClock();
  const fired: string[] = [];
  clock.after(11, () => fired.push("too early"));

  await clock.advance(10);

  expect(fired).toEqual([]);
  expect(clock.pending).toBe(1);
});

test("what one timer sets off is finished before the next one fires", async () => {
  const clock = virtualClock();
  const steps: string[] = [];
  clock.after(10, () => void severalPromises(50).then(() => steps.push("set off by the first")));
  clock.after(10, () => steps.push("second"));

  await clock.advance(10);

  expect(steps).toEqual(["set off by the first", "second"]);
});

test("timers that are set on the way fire on the way", async () => {
  const clock = virtualClock();
  const wokenAt: number[] = [];
  const sleeper = async (): Promise<void> => {
    for (let nap = 0; nap < 3; nap += 1) {
      await sleep(clock, 10);
      wokenAt.push(clock.now());
    }
  };

  const sleeping = sleeper();
  await clock.advance(30);
  await sleeping;

  expect(wokenAt).toEqual([10, 20, 30]);
});

test("a cancelled timer never fires, and cancelling it again does nothing", async () => {
  const clock = virtualClock();
  const fired: string[] = [];
  const cancel = clock.after(10, () => fired.push("cancelled"));
  clock.after(10, () => fired.push("kept"));

  cancel();
  cancel();
  await clock.advance(10);

  expect(fired).toEqual(["kept"]);
});

test("cancelling a timer that has fired leaves the others alone", async () => {
  const clock = virtualClock();
  const fired: string[] = [];
  const cancel = clock.after(5, () => fired.push("first"));
  clock.after(10, () => fired.push("second"));
  clock.after(10, () => fired.push("third"));
  await clock.advance(5);

  cancel();
  await clock.advance(5);

  expect(fired).toEqual(["first", "second", "third"]);
});

test("runNext moves to the next timer and fires only that", async () => {
  const clock = virtualClock();
  const fired: string[] = [];
  clock.after(10, () => fired.push("first"));
  clock.after(10, () => fired.push("second"));

  const ran = await clock.runNext();

  expect({ ran, fired, now: clock.now() }).toEqual({ ran: true, fired: ["first"], now: 10 });
});

test("what a timer sets off is finished when runNext returns", async () => {
  const clock = virtualClock();
  let finished = false;
  clock.after(10, () => void severalPromises(50).then(() => (finished = true)));

  await clock.runNext();

  expect(finished).toBe(true);
});

test("runNext says when there is no timer left", async () => {
  expect(await virtualClock().runNext()).toBe(false);
});

test("a delay that is not above zero is due at once", async () => {
  const clock = virtualClock({ now: 500 });
  const firedAt: number[] = [];
  clock.after(-10, () => firedAt.push(clock.now()));
  clock.after(Number.NaN, () => firedAt.push(clock.now()));

  await clock.advance(0);

  expect(firedAt).toEqual([500, 500]);
});

test("time does not run backwards", async () => {
  await expect(virtualClock().advance(-1)).rejects.toMatchObject({ code: "ERR_INVALID_OPTION" });
});

test("a start that is no time is refused", () => {
  expect(() => virtualClock({ now: Number.NaN })).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});

test("a virtual clock does not depend on the timers that a test runner fakes", async () => {
  vi.useFakeTimers();
  const clock = virtualClock();
  const fired: string[] = [];
  clock.after(10, () => fired.push("fired"));

  await clock.advance(10);

  expect(fired).toEqual(["fired"]);
});

async function severalPromises(count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) await Promise.resolve();
}
