import {
  type Context,
  contextValue,
  createMessage,
  createContext,
  joiner,
  matchAll,
  memoryEventStore,
  type Message,
  pipeline,
  type Processor,
  type SweepReport,
} from "event-driver";
import { virtualClock } from "event-driver/testing";
import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";

import type { WireEvent } from "../src/event/wire-event.ts";

import { fetchHandler } from "../src/receive/fetch-handler.ts";
import { receiver } from "../src/receive/receiver.ts";
import { sweepFully } from "../src/receive/sweep-fully.ts";
import { batch, binary, eventText, recording, structured } from "./requests.ts";

const sweepOn = "dev.knative.sources.ping";

// What makeEvent and cronTick of Knative's pkg/adapter/mtping/runner.go give a PingSource's event: no subject and no key.
const ping = {
  id: "0b0e4d0a-3a51-4c6e-9f44-0e9f0ce3c1a5",
  source: "/apis/v1/namespaces/shop/pingsources/orders-sweep",
  type: sweepOn,
  key: undefined,
};

const nothingDue: SweepReport = { finished: 0, errors: [], more: false };

describe("an event of the type that sweeps", () => {
  test("sweeps, and goes through no stage", async () => {
    const { messages, pipeline: orders } = recording();
    const { processor, sweeps } = sweeping([nothingDue], orders);
    const clock = virtualClock();

    const response = await fetchHandler(processor, { sweepOn, clock })(binary(ping, ""));

    expect([response.status, sweeps.length, messages]).toEqual([204, 1, []]);
    expect(clock.pending).toBe(0);
  });

  test("ends a window whose time has come", async () => {
    const clock = virtualClock();
    const timeouts: unknown[] = [];
    const orders = pipeline().use(
      joiner({
        store: memoryEventStore({ clock }),
        condition: matchAll("event1", "event2"),
        window: { size: 60_000 },
        onTimeout: async (_ctx, { key, missing }) => void timeouts.push([key, missing]),
      }),
    );
    const handle = fetchHandler(orders, { sweepOn, clock });
    const waiting = await handle(binary());
    await clock.advance(60_001);

    const response = await handle(binary(ping, ""));

    expect([waiting.status, response.status]).toEqual([202, 204]);
    expect(timeouts).toEqual([["order-1", ["event2"]]]);
  });

  test("sweeps in structured mode and over HTTP too", async () => {
    const { processor, sweeps } = sweeping([nothingDue]);
    const listening = await receiver(processor, { sweepOn, sweep: false }).listen({ port: 0 });
    const { headers, body } = structured(eventText(ping));

    const response = await fetch(listening.url, { method: "POST", headers, body, duplex: "half" });
    await listening.close();

    expect([response.status, sweeps.length]).toEqual([204, 1]);
  });

  test("sweeps on until nothing is due any more", async () => {
    const { processor, sweeps } = sweeping([
      { ...nothingDue, finished: 100, more: true },
      { ...nothingDue, finished: 100, more: true },
    ]);

    expect((await fetchHandler(processor, { sweepOn })(binary(ping))).status).toBe(204);
    expect(sweeps).toHaveLength(3);
  });

  test("does not sweep in circles over what others are working on", async () => {
    const { processor, sweeps } = sweeping([{ ...nothingDue, finished: 0, more: true }]);

    expect((await fetchHandler(processor, { sweepOn })(binary(ping))).status).toBe(204);
    expect(sweeps).toHaveLength(1);
  });

  test("is an event like others where nothing sweeps, and is refused for want of a key", async () => {
    const { processor, sweeps } = sweeping([nothingDue]);

    expect((await fetchHandler(processor)(binary(ping))).status).toBe(400);
    expect(sweeps).toEqual([]);
  });

  test("is not one without a type, where a reader of the user's own gives such events", async () => {
    const { messages, pipeline: orders } = recording();
    const readEvents = (): readonly WireEvent[] => [{ attributes: { id: "e-1", source: "s" }, data: "" }];
    const toMessage = (): Message => createMessage({ key: "k", source: "s", content: "" });

    const response = await fetchHandler(orders, { readEvents, toMessage })(binary());

    expect([response.status, messages.length]).toEqual([204, 1]);
  });

  test("sweeps for nobody who may not send", async () => {
    const { processor, sweeps } = sweeping([nothingDue]);

    const response = await fetchHandler(processor, { sweepOn, authenticate: () => ({ accepted: false, status: 401 }) })(binary(ping));

    expect([response.status, sweeps.length]).toEqual([401, 0]);
  });

  test("sweeps in the context of who has sent it", async () => {
    const sender = contextValue<string>("sender");
    const { processor, sweeps } = sweeping([nothingDue]);

    await fetchHandler(processor, { sweepOn, authenticate: () => ({ accepted: true, context: (ctx) => sender.set(ctx, "cron") }) })(
      binary(ping),
    );

    expect(sweeps.map((ctx) => sender.get(ctx))).toEqual(["cron"]);
  });

  test("is seen by toResult as the message that it is", async () => {
    const seen: unknown[] = [];
    const { processor } = sweeping([nothingDue]);
    const toResult = ({ outcomes }: { readonly outcomes: readonly unknown[] }): undefined => void seen.push(...outcomes);

    await fetchHandler(processor, { sweepOn, toResult })(binary(ping));

    expect(seen).toEqual([{ status: "done", message: expect.objectContaining({ id: ping.id, type: sweepOn, key: ping.source }) }]);
  });

  test("may have a key, and is told apart by its type alone", async () => {
    const { messages, pipeline: orders } = recording();
    const { processor, sweeps } = sweeping([nothingDue], orders);
    const handle = fetchHandler(processor, { sweepOn });

    await handle(binary({ ...ping, key: "order-1" }));
    await handle(binary({ ...ping, key: "order-1", type: `${sweepOn}s` }));

    expect([sweeps.length, messages.length]).toEqual([1, 1]);
  });
});

describe("a sweep that fails", () => {
  test("is answered so that it is asked for again, and what failed is logged", async () => {
    const failures = [new Error("one"), new Error("two")];
    const { processor } = sweeping([{ ...nothingDue, errors: failures }]);
    const lines: unknown[] = [];
    const log = (fields: object): void => void lines.push(fields);

    const response = await fetchHandler(processor, { sweepOn, logger: { debug: log, info: log, warn: log, error: log } })(binary(ping));

    expect([response.status, await response.json()]).toEqual([500, expect.objectContaining({ id: ping.id, code: "ERR_HANDLER_FAILED" })]);
    expect(lines).toEqual([expect.objectContaining({ err: expect.objectContaining({ errors: failures }) })]);
  });

  test("as a whole is answered in the same way", async () => {
    const { processor } = sweeping([Promise.reject(new Error("down"))]);

    expect((await fetchHandler(processor, { sweepOn })(binary(ping))).status).toBe(500);
  });

  test("before it begins, in the context that it would have, leaves nothing behind", async () => {
    const { processor, sweeps } = sweeping([nothingDue]);
    const clock = virtualClock();
    const context = (): never => {
      throw new Error("no such tenant");
    };

    const response = await fetchHandler(processor, { sweepOn, clock, authenticate: () => ({ accepted: true, context }) })(binary(ping));

    expect([response.status, sweeps.length, clock.pending]).toEqual([500, 0, 0]);
  });

  test("by the deadline is given up and answered with 504", async () => {
    const clock = virtualClock();
    const { processor, sweeps } = sweeping([new Promise(() => {})]);

    const answer = fetchHandler(processor, { sweepOn, clock, deadline: 5_000 })(binary(ping));
    await expect.poll(() => sweeps.length).toBe(1);
    const aborted = [sweeps[0]?.signal.aborted];
    await clock.advance(5_000);
    aborted.push(sweeps[0]?.signal.aborted);

    expect((await answer).status).toBe(504);
    expect(aborted).toEqual([false, true]);
    expect(clock.pending).toBe(0);
  });

  test("because the service ends is answered with 503", async () => {
    const { processor, sweeps } = sweeping([new Promise(() => {})]);
    const listening = await receiver(processor, { sweepOn, sweep: false }).listen({ port: 0 });

    const answer = fetch(listening.url, { method: "POST", headers: binary(ping).headers });
    await expect.poll(() => sweeps.length).toBe(1);
    await listening.close({ limit: 0 });

    expect((await answer).status).toBe(503);
  });
});

describe("in a batch", () => {
  test("events are processed, and one sweep does for all that ask for it", async () => {
    const { messages, pipeline: orders } = recording();
    const { processor, sweeps } = sweeping([nothingDue], orders);

    const response = await fetchHandler(processor, { sweepOn })(
      batch(eventText(ping), eventText({ id: "e-1" }), eventText({ ...ping, id: "p-2" }), eventText({ id: "e-2" })),
    );

    expect([response.status, sweeps.length, messages.map(({ id }) => id)]).toEqual([204, 1, ["e-1", "e-2"]]);
  });

  test("a failed sweep fails the events that asked for it, and no other", async () => {
    const { processor } = sweeping([{ ...nothingDue, errors: [new Error("down")] }], recording().pipeline);

    const response = await fetchHandler(processor, { sweepOn })(batch(eventText({ id: "e-1" }), eventText(ping), "{}"));

    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({
      events: [
        { index: 1, id: ping.id, status: 500 },
        { index: 2, status: 400 },
      ],
    });
  });
});

test("a sweep leaves no listener at the signal that outlives it", async () => {
  const { signal } = new AbortController();

  await sweepFully(sweeping([nothingDue]).processor, { signal }, (ctx) => ctx);

  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("an empty type is refused", () => {
  expect(() => fetchHandler(pipeline(), { sweepOn: "" })).toThrow("fetchHandler: sweepOn is");
});

/** A pipeline whose sweeps report what they are told, one after another, with the context of each. */
function sweeping(
  reports: readonly (SweepReport | Promise<SweepReport>)[],
  inner: Processor = recording().pipeline,
): { readonly processor: Processor; readonly sweeps: readonly Context[] } {
  const sweeps: Context[] = [];
  return {
    sweeps,
    processor: {
      process: (ctx, message) => inner.process(ctx, message),
      processBatch: (ctx, messages, options) => inner.processBatch(ctx, messages, options),
      async sweep(ctx = createContext()) {
        sweeps.push(ctx);
        return (await reports[sweeps.length - 1]) ?? nothingDue;
      },
    },
  };
}
