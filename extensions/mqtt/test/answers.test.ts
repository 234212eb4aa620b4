import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";

import { Answers } from "../src/answers.ts";

test("the answers of one turn of the event loop go out in one write", async () => {
  const { answers, written } = connected();

  answers.add(1, 1);
  answers.add(2, 2);
  await setImmediate();

  expect(written).toEqual(["4002000150020002"]);
});

test("what is held goes out when it is released, and nothing is held from then on", async () => {
  const { answers, written } = connected();
  answers.hold();
  answers.add(1, 1);
  await setImmediate();
  expect(written).toEqual([]);

  answers.release();
  answers.add(2, 1);
  await setImmediate();

  expect(written).toEqual(["40020001", "40020002"]);
});

test("what was held for one connection is not said over the next one, whose messages may have the same numbers", async () => {
  const { answers, written } = connected();
  answers.hold();
  answers.add(1, 1);

  answers.clear();
  answers.release();
  await setImmediate();

  expect(written).toEqual([]);
});

/** With what is written, in hexadecimal digits. */
function connected(): { readonly answers: Answers; readonly written: readonly string[] } {
  const written: string[] = [];
  const answers = new Answers({ client: { connected: true }, write: (bytes) => void written.push(bytes.toString("hex")) });
  return { answers, written };
}
