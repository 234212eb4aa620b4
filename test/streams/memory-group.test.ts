import { expect, test } from "vitest";

import type { Transport } from "../../src/streams/index.ts";

import { order, streamsBench } from "./bench.ts";

test("a client that dies while it is handed a message takes none with it that it had before", async () => {
  const bench = streamsBench();
  const seen: string[] = [];
  const dying = bench.connect({}, (transport) => handing(transport, (id) => id === "c" && void bench.kill(dying)));
  await dying.subscribe("orders", () => new Promise(() => undefined));
  for (const id of ["a", "b", "c"]) await bench.connection.publish("orders", order(id, id));
  await bench.settle();

  await bench.connect().subscribe("orders", async (_ctx, { id }) => void seen.push(id));
  await bench.settle();

  expect(seen).toEqual(["a", "b", "c"]);
});

test("one that is redelivered to it neither", async () => {
  const bench = streamsBench();
  const seen: string[] = [];
  const dying = bench.connect({}, (transport) =>
    handing(transport, (id, attempt) => id === "c" && attempt === 2 && void bench.kill(dying)),
  );
  await dying.subscribe(
    "orders",
    (ctx, { id }) => (id === "c" && ctx.attempt === 1 ? Promise.reject(new Error("again")) : new Promise(() => undefined)),
    {
      order: "none",
      retry: { delays: [100] },
    },
  );
  for (const id of ["a", "b", "c"]) await bench.connection.publish("orders", order(id, id));
  await bench.clock.advance(100);

  await bench.connect().subscribe("orders", async (_ctx, { id }) => void seen.push(id));
  await bench.settle();

  expect(seen).toEqual(["a", "b", "c"]);
});

/** A transport that tells of each delivery as it is handed over. */
function handing(transport: Transport, tell: (id: string, attempt: number) => void): Transport {
  return {
    name: transport.name,
    features: transport.features,
    publish: (stream, message, options) => transport.publish(stream, message, options),
    subscribe: (request, sink) =>
      transport.subscribe(request, {
        lost: (error) => sink.lost(error),
        deliver(inbound) {
          const handover = sink.deliver(inbound);
          tell(inbound.message.id, inbound.attempt);
          return handover;
        },
      }),
    close: () => transport.close(),
  };
}
