import fc from "fast-check";
import { expect, test } from "vitest";

import type { RepeatPolicy } from "../../../src/handlers/joiner/members.ts";
import type { Message } from "../../../src/message.ts";

import { event, failureOf } from "../../claims/deliver.ts";
import { joinOn, oneOf, setUp } from "./joins.ts";

const early = repeat("a", "2024-05-01T10:00:00Z");
const late = repeat("b", "2024-05-01T11:00:00Z");

test.for([
  ["last", "b"],
  ["first", "a"],
] as const)("by the policy %s, event %s of a source counts, whichever comes first", async ([repeated, counts]) => {
  expect(await winnerOf([early, late], repeated)).toBe(counts);
  expect(await winnerOf([late, early], repeated)).toBe(counts);
});

test.for([
  ["times a nanosecond apart", repeat("b", "2024-05-01T10:00:00.000000001Z"), repeat("a", "2024-05-01T10:00:00.000000002Z")],
  ["times of different offsets", repeat("b", "2024-05-01T14:00:00+05:00"), repeat("a", "2024-05-01T10:00:00Z")],
  ["an absent time and any other", repeat("b"), repeat("a", "1970-01-01T00:00:00Z")],
  ["equal times, by the id", repeat("a", "2024-05-01T10:00:00Z"), repeat("b", "2024-05-01T12:00:00+02:00")],
  ["no times, by the id", repeat("a"), repeat("b")],
  ["equal ids, by the origin", repeat("a", undefined, "/shop/1#event1"), repeat("a", undefined, "/shop/2#event1")],
] as const)("the last event is told from the first with %s", async ([_what, first, last]) => {
  const origin = (message: Message): string => `${message.origin ?? message.source} ${message.id}`;

  expect(await contentOf([first, last], "last")).toBe(origin(last));
  expect(await contentOf([last, first], "last")).toBe(origin(last));
  expect(await contentOf([last, first], "first")).toBe(origin(first));
});

test("the result does not depend on the order of arrival", async () => {
  const time = fc.constantFrom(
    undefined,
    "2024-05-01T10:00:00Z",
    "2024-05-01T12:00:00+02:00",
    "2024-05-01T10:00:00.000000001Z",
    "not a time",
  );
  const messages = fc.uniqueArray(fc.record({ id: fc.constantFrom("a", "b", "c", "d"), time }), {
    minLength: 1,
    maxLength: 4,
    selector: ({ id }) => id,
  });
  await fc.assert(
    fc.asyncProperty(
      messages.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
      fc.constantFrom("last", "first"),
      async ([all, shuffled], repeated) => {
        const asGiven = await winnerOf(
          all.map(({ id, time: at }) => repeat(id, at)),
          repeated,
        );
        const asShuffled = await winnerOf(
          shuffled.map(({ id, time: at }) => repeat(id, at)),
          repeated,
        );

        expect(asShuffled).toBe(asGiven);
      },
    ),
  );
});

test("the result does not depend on the order in which writes side by side land", async () => {
  await fc.assert(
    fc.asyncProperty(fc.shuffledSubarray(["a", "b", "c", "d"], { minLength: 4 }), async (ids) => {
      const setting = setUp();
      const processes = [joinOn(setting), joinOn(setting)] as const;

      const deliveries = Promise.all(ids.map((id, at) => oneOf(processes, at).deliver(repeat(id, "2024-05-01T10:00:00Z"))));
      await setting.clock.advance(1_000);
      await deliveries;
      await processes[0].deliver(event("event2"));

      expect(processes[0].emitted).toMatchObject([{ content: '{"event1":"event1 d","event2":{}}' }]);
    }),
  );
});

test("an event that does not count is told so while it waits", async () => {
  const process = joinOn(setUp());
  await process.deliver(late);

  const superseded = await process.deliver(early);

  expect(superseded.ended).toBe("superseded");
});

test("an older event of a member, after the end, is superseded and leaves nothing", async () => {
  const setting = setUp();
  const onLate: string[] = [];
  const process = joinOn(setting, { onLate: (_ctx, { id }) => void onLate.push(id) });
  await process.deliver(late);
  await process.deliver(event("event2"));

  const superseded = await process.deliver(early);

  expect(superseded.ended).toBe("superseded");
  expect(onLate).toEqual([]);
  expect(process.emitted).toHaveLength(1);
});

test("by the policy reject, another event of a source fails for good, and the first one counts", async () => {
  const process = joinOn(setUp(), { repeated: "reject" });
  await process.deliver(late);

  const refusal = await failureOf(process.deliver(early));
  await process.deliver(event("event2"));

  expect(refusal).toMatchObject({
    code: "ERR_REPEATED_SOURCE",
    retryable: false,
    message: expect.stringContaining('message "a" is a second event of source "event1" for key "order-1"'),
  });
  expect(process.emitted).toMatchObject([{ content: '{"event1":"event1 b","event2":{}}' }]);
});

test("by the policy reject, another event of a member is refused after the end too, also when the entries went with their retention", async () => {
  const setting = setUp();
  const process = joinOn(setting, { repeated: "reject", retention: 60_000 });
  await process.deliver(early);
  await process.deliver(event("event2"));
  const atOnce = await failureOf(process.deliver(late));
  await setting.clock.advance(60_000);
  await process.sweep();

  const later = await failureOf(process.deliver(late));

  expect([atOnce, later]).toMatchObject([{ code: "ERR_REPEATED_SOURCE" }, { code: "ERR_REPEATED_SOURCE" }]);
});

test("by the policy reject, the same event again is a plain repeat", async () => {
  const process = joinOn(setUp(), { repeated: "reject" });
  await process.deliver(early);

  const again = await process.deliver(early);

  expect(again.ended).toBe("waiting");
});

test("the same id of another origin is another event", async () => {
  const process = joinOn(setUp(), { repeated: "reject" });
  await process.deliver(repeat("a", undefined, "/shop/1#event1"));

  const refusal = await failureOf(process.deliver(repeat("a", undefined, "/shop/2#event1")));

  expect(refusal).toMatchObject({ code: "ERR_REPEATED_SOURCE" });
});

/** An event of source `event1` whose content tells which it is. */
function repeat(id: string, time?: string, origin?: string): Message {
  return event("event1", {
    id,
    content: `${origin ?? "event1"} ${id}`,
    ...(time !== undefined && { time }),
    ...(origin !== undefined && { origin }),
  });
}

async function contentOf(repeats: readonly Message[], repeated: RepeatPolicy): Promise<string> {
  const process = joinOn(setUp(), { repeated });
  for (const message of repeats) await process.deliver(message);
  await process.deliver(event("event2"));
  const { event1 }: { event1: string } = JSON.parse(String(process.emitted[0]?.content));
  return event1;
}

async function winnerOf(repeats: readonly Message[], repeated: RepeatPolicy): Promise<string | undefined> {
  return (await contentOf(repeats, repeated)).split(" ").at(-1);
}
