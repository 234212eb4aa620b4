import { expect, test } from "vitest";

import type { Message } from "../../../src/message.ts";

import { matchAll } from "../../../src/handlers/joiner/condition.ts";
import { type EachJoinerOptions, joiner } from "../../../src/handlers/joiner/joiner.ts";
import { pipeline } from "../../../src/pipeline/pipeline.ts";
import { type Delivery, deliver, event, failureOf } from "../../claims/deliver.ts";
import { withoutCompareAndSet } from "../../claims/plain-store.ts";
import { entriesOf, joinOn, setUp } from "./joins.ts";

test("each message that comes while the condition holds emits the join as it is then", async () => {
  const { emitted, send } = each();

  await send(event("event1", { content: '{"n":1}' }));
  await send(event("event2", { content: '{"n":2}' }));
  await send(event("event3", { content: '{"n":3}' }));

  expect(emitted.map(({ content }) => content)).toEqual([
    '{"event1":{"n":1},"event2":{"n":2}}',
    '{"event1":{"n":1},"event2":{"n":2},"event3":{"n":3}}',
  ]);
});

test("a message that comes before the condition holds waits", async () => {
  const { emitted, send } = each();

  const delivery = await send(event("event1"));

  expect(delivery.ended).toBe("waiting");
  expect(emitted).toEqual([]);
});

test("the same members give the same id again, and other members another one", async () => {
  const { emitted, send } = each();

  await send(event("event1"));
  await send(event("event2"));
  await send(event("event2"));
  await send(event("event1", { id: "newer", time: "2024-05-01T10:00:00Z" }));

  const [first, second, third] = emitted.map(({ id }) => id);
  expect(second).toBe(first);
  expect(third).not.toBe(first);
});

test("it emits what emitting once would emit, under the same id", async () => {
  const once = joinOn(setUp());
  const { emitted, send } = each();
  for (const message of [event("event1"), event("event2", { time: "2024-05-01T10:00:00Z" })]) {
    await once.deliver(message);
    await send(message);
  }

  expect(emitted).toEqual(once.emitted);
});

test("a store that cannot compare and set will do", async () => {
  const { emitted, send } = each();
  await send(event("event1", { id: "b", content: '{"counts":true}' }));
  await send(event("event1", { id: "a" }));

  await send(event("event2"));

  expect(emitted.map(({ content }) => content)).toEqual(['{"event1":{"counts":true},"event2":{}}']);
});

test("by the policy reject another event of a source fails for good, also without compare and set", async () => {
  const { send } = each({ repeated: "reject" });
  await send(event("event1", { id: "a" }));

  const refusal = await failureOf(send(event("event1", { id: "b" })));

  expect(refusal).toMatchObject({ code: "ERR_REPEATED_SOURCE", retryable: false });
});

test("a failure behind the joiner fails the delivery, and its redelivery emits again", async () => {
  let calls = 0;
  const { emitted, send } = each({}, () => {
    calls += 1;
    if (calls === 1) throw new Error("sink down");
  });
  await send(event("event1"));
  const refusal = await failureOf(send(event("event2")));

  await send(event("event2"));

  expect(refusal).toMatchObject({ retryable: true });
  expect(emitted).toHaveLength(1);
});

test("what is stored may be removed by the store after the retention", async () => {
  const { setting, send } = each({ retention: 60_000 });
  await send(event("event1"));
  await setting.clock.advance(60_000);

  await send(event("event1", { key: "order-2" }));

  expect(await entriesOf(setting.store)).toEqual([]);
});

test("nothing but the messages is stored", async () => {
  const { setting, send } = each();

  await send(event("event1"));
  await send(event("event2"));

  expect(await entriesOf(setting.store)).toEqual(["event1", "event2"]);
});

/** A joiner that emits each time, on a store that fails whoever asks it to compare and set. */
function each(options: Partial<EachJoinerOptions> = {}, handle: () => void = () => {}) {
  const setting = setUp();
  const emitted: Message[] = [];
  const orders = pipeline()
    .use(joiner({ store: withoutCompareAndSet(setting.store), condition: matchAll("event1", "event2"), ...options, emit: "each" }))
    .use(async (_ctx, message) => {
      handle();
      emitted.push(message);
    });
  const send = (message: Message): Promise<Delivery> => deliver(orders, setting.clock, message);
  return { setting, emitted, send };
}
