import { expect, test } from "vitest";

import { ByName } from "../../src/streams/by-name.ts";

interface Lane {
  readonly name: string;
  isIdle: boolean;
}

test("the same name has the same one for as long as it is not idle, whatever else is asked for", () => {
  const lanes = new ByName<Lane>({ make: (name) => ({ name, isIdle: true }), isIdle: ({ isIdle }) => isIdle });
  const busy = lanes.of("busy");
  busy.isIdle = false;

  for (let count = 0; count < 10_000; count += 1) lanes.of(String(count));

  expect(lanes.of("busy")).toBe(busy);
});

test("idle ones are not kept for ever", () => {
  let made = 0;
  const lanes = new ByName<Lane>({ make: (name) => ({ name: `${name}:${(made += 1)}`, isIdle: true }), isIdle: ({ isIdle }) => isIdle });
  const before = lanes.of("idle");
  expect(lanes.of("idle")).toBe(before);

  for (let count = 0; count < 10_000; count += 1) lanes.of(String(count));

  expect(lanes.of("idle")).not.toBe(before);
});
