import { expect, test } from "vitest";

import type { Handler, Traits } from "../../src/pipeline/handler.ts";

import { pipeline } from "../../src/pipeline/pipeline.ts";

const guard = { name: "guard", guards: true };
const retrying = { name: "retrying", retries: true };
const deadLetter = { name: "dead letter", deadLetters: true };
const detaching = { name: "detaching", detaches: true };

test.each([
  { front: retrying, behind: deadLetter },
  { front: guard, behind: deadLetter },
  { front: guard, behind: detaching },
  { front: retrying, behind: detaching },
  { front: deadLetter, behind: detaching },
  { front: { ...retrying, guards: false }, behind: detaching },
])("$behind.name behind $front.name is refused, with the order that works", ({ front, behind }) => {
  const inFront = pipeline()
    .use(stage(front))
    .use(async () => {});

  expect(() => inFront.use(stage(behind))).toThrow(
    expect.objectContaining({
      code: "ERR_STAGE_ORDER",
      retryable: false,
      message: expect.stringContaining(`put ${behind.name} in front of ${front.name}`),
    }),
  );
});

test.each([
  { front: deadLetter, behind: retrying },
  { front: deadLetter, behind: guard },
  { front: retrying, behind: guard },
  { front: guard, behind: retrying },
  { front: detaching, behind: guard },
  { front: detaching, behind: deadLetter },
  { front: { ...guard, guards: false }, behind: detaching },
])("$behind.name may stand behind $front.name", ({ front, behind }) => {
  const { stages } = pipeline().use(stage(front)).use(stage(behind));

  expect(stages).toEqual([front, behind]);
});

test("a plain function may stand anywhere", () => {
  const { stages } = pipeline()
    .use(async () => {})
    .use(stage(retrying))
    .use(async () => {})
    .use(stage(guard));

  expect(stages).toHaveLength(4);
});

function stage(traits: Traits): Handler {
  return { traits, process: (ctx, message, next) => next(ctx, message) };
}
