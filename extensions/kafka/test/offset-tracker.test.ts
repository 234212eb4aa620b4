import fc from "fast-check";
import { expect, test } from "vitest";

import { OffsetTracker } from "../src/offset-tracker.ts";

test("the position stays at the lowest unfinished offset, whatever is done behind it", () => {
  const tracker = trackerOf(5n, [5n, 6n, 7n]);

  tracker.finish(6n);
  tracker.finish(7n);

  expect(tracker.position).toBe(5n);
});

test("the position jumps over all that was done when the lowest one is", () => {
  const tracker = trackerOf(5n, [5n, 6n, 7n, 8n]);

  for (const offset of [6n, 7n, 5n]) tracker.finish(offset);

  expect(tracker.position).toBe(8n);
});

test("gaps in the log are passed", () => {
  const tracker = trackerOf(0n, [3n, 10n]);

  tracker.finish(3n);
  const before = tracker.position;
  tracker.finish(10n);
  tracker.skipTo(12n);

  expect([before, tracker.position]).toEqual([10n, 12n]);
});

test("what is passed over waits for what is not done before it", () => {
  const tracker = trackerOf(0n, [0n]);

  tracker.skipTo(100n);

  expect(tracker.position).toBe(0n);
});

test("finishing twice, or what has not begun, does nothing", () => {
  const tracker = trackerOf(0n, [0n, 1n]);

  expect([tracker.finish(0n), tracker.finish(0n), tracker.finish(7n)]).toEqual([true, false, false]);
  expect([tracker.position, tracker.unfinished]).toEqual([1n, 1]);
});

test("an offset that comes again after it was done does not begin again", () => {
  const tracker = trackerOf(0n, [0n, 1n]);

  tracker.finish(0n);
  tracker.begin(0n);

  expect([tracker.position, tracker.unfinished]).toEqual([1n, 1]);
});

const run = fc.record({
  start: fc.nat(1_000),
  gaps: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 40 }),
  order: fc.array(fc.nat(), { maxLength: 40 }),
});

test("whatever the gaps and the order: the position is the lowest unfinished offset, never goes back, and a restart from it misses nothing", () => {
  fc.assert(
    fc.property(run, ({ start, gaps, order }) => {
      const offsets = offsetsOf(start, gaps);
      const tracker = trackerOf(BigInt(start), offsets);
      const open = [...offsets];
      let last = tracker.position;

      for (const pick of order) {
        if (open.length === 0) break;
        const [offset] = open.splice(pick % open.length, 1);
        if (offset !== undefined) tracker.finish(offset);

        expect(tracker.position).toBe(open.length === 0 ? nextOf(start, offsets) : lowestOf(open));
        expect(tracker.position).toBeGreaterThanOrEqual(last);
        last = tracker.position;
      }

      expect(open.every((offset) => offset >= tracker.position)).toBe(true);
    }),
  );
});

function trackerOf(next: bigint, offsets: readonly bigint[]): OffsetTracker {
  const tracker = new OffsetTracker(next);
  for (const offset of offsets) tracker.begin(offset);
  return tracker;
}

function offsetsOf(start: number, gaps: readonly number[]): readonly bigint[] {
  let next = BigInt(start);
  return gaps.map((gap) => {
    const offset = next + BigInt(gap);
    next = offset + 1n;
    return offset;
  });
}

function nextOf(start: number, offsets: readonly bigint[]): bigint {
  return (offsets.at(-1) ?? BigInt(start) - 1n) + 1n;
}

function lowestOf(offsets: readonly bigint[]): bigint {
  return offsets.reduce((lowest, offset) => (offset < lowest ? offset : lowest));
}
