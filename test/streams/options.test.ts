import { expect, test } from "vitest";

import { contextValue } from "../../src/context.ts";
import {
  type ConnectionFeatures,
  memoryBroker,
  memoryConnection,
  type MemoryBroker,
  type SubscribeOptions,
} from "../../src/streams/index.ts";
import { streamsBench } from "./bench.ts";

const handler = async (): Promise<void> => {};

test.each<[string, SubscribeOptions]>([
  ["name", { name: "" }],
  ["timeout", { timeout: 0 }],
  ["timeout", { timeout: Infinity }],
  ["maxInFlight", { maxInFlight: 0 }],
  ["concurrency", { concurrency: 1.5 }],
  ["backfill", { backfill: new Date("never") }],
  ["backfill.position", { backfill: { position: "half" } }],
  ["batch.size", { batch: { size: 0, wait: 1 } }],
  ["batch.wait", { batch: { size: 1, wait: -1 } }],
  ["batch", { batch: { size: 1, wait: 1 } }],
  ["batch", { batch: { size: 1, wait: 1 }, serial: true }],
  ["order", { order: "none", serial: true }],
  ["retry.delays", { retry: { delays: [10, -1] } }],
  ["deadLetter", { deadLetter: "" }],
  ["deadLetter", { deadLetter: "orders" }],
  ["deadLetter.retention", { deadLetter: { stream: "dead", retention: 0 } }],
])("subscribe refuses a bad %s: %j", async (option, options) => {
  const { connection } = streamsBench();

  const refused = connection.subscribe("orders", handler, options);

  await expect(refused).rejects.toMatchObject({ code: "ERR_INVALID_OPTION", message: expect.stringContaining(`subscribe: ${option} is`) });
  expect(connection.status().subscriptions).toEqual([]);
});

test.each<[string, Partial<ConnectionFeatures>, SubscribeOptions]>([
  ["durable: true", { durable: false }, { durable: true }],
  ["durable: false", { transient: false }, { durable: false }],
  ["backfill by all", { backfill: ["time"] }, { backfill: true }],
  ["backfill by time", { backfill: ["all"] }, { backfill: new Date(0) }],
  ["backfill by position", { backfill: [] }, { backfill: { position: "1" } }],
  ["reset", { reset: false }, { reset: true }],
  ["timeout", { ackWait: "none" }, { timeout: 1_000 }],
  ["serial", { serial: false }, { serial: true }],
  ['order: "key"', { keyOrder: "none" }, { order: "key" }],
  ["deadLetter.retention", { expiry: false }, { deadLetter: { stream: "dead", retention: 1 } }],
])("asking for %s where the broker cannot is an error that says what to do instead", async (option, lacking, options) => {
  const { connect } = streamsBench();
  const connection = connect({}, (transport) => ({ ...transport, features: { ...transport.features, ...lacking } }));

  const refused = connection.subscribe("orders", handler, options);

  await expect(refused).rejects.toMatchObject({ code: "ERR_UNSUPPORTED", retryable: false });
  await expect(refused).rejects.toThrow(`subscribe: memory cannot do ${option}; `);
});

test("a broker that lacks everything is asked for nothing it lacks by default", async () => {
  const { connect } = streamsBench();
  const features: ConnectionFeatures = {
    durable: false,
    transient: true,
    backfill: [],
    reset: false,
    serial: false,
    keyOrder: "none",
    ackWait: "none",
    delay: false,
    attempts: false,
    expiry: false,
  };
  const requests: object[] = [];
  const connection = connect({}, (transport) => ({
    ...transport,
    features,
    subscribe(request, sink) {
      requests.push(request);
      return transport.subscribe(request, sink);
    },
  }));

  await connection.subscribe("orders", handler, { deadLetter: "dead" });

  expect(requests).toEqual([
    {
      stream: "orders",
      name: "orders",
      durable: false,
      backfill: false,
      reset: false,
      exclusive: false,
      ackWait: undefined,
      maxInFlight: 256,
      isOrdered: false,
      native: undefined,
    },
  ]);
});

test("a transport is told whether messages of a key may overtake each other", async () => {
  const { connect } = streamsBench();
  const orders: unknown[] = [];
  const connection = connect({}, (transport) => ({
    ...transport,
    subscribe(request, sink) {
      orders.push(request.isOrdered);
      return transport.subscribe(request, sink);
    },
  }));

  for (const order of ["none", "key"] as const) await connection.subscribe("orders", handler, { name: order, order });

  expect(orders).toEqual([false, true]);
});

test("bad options of a connection are refused when it is made", () => {
  const value = contextValue<string>("tenant");
  const foreign: MemoryBroker = { ...memoryBroker() };

  expect(() => memoryConnection({ publishBuffer: 0 })).toThrow("createConnection: publishBuffer is 0");
  expect(() => memoryConnection({ propagate: [{ attribute: "Tenant-Id", value }] })).toThrow("createConnection: propagate");
  expect(() => memoryConnection({ client: "" })).toThrow("createConnection: client");
  expect(() => memoryConnection({ broker: foreign })).toThrow("memoryConnection: broker");
  expect(() => memoryBroker({ history: -1 })).toThrow("memoryBroker: history is -1");
});

test("a limit that is no time is refused, and nothing is closed", async () => {
  const { connection } = streamsBench();
  const subscription = await connection.subscribe("orders", handler);

  await expect(subscription.close({ limit: -1 })).rejects.toMatchObject({ code: "ERR_INVALID_OPTION" });
  await expect(connection.close({ limit: Number.NaN })).rejects.toMatchObject({ code: "ERR_INVALID_OPTION" });

  expect(connection.status().state).toBe("connected");
});

test("what needs neither history nor a position is removed from memory", async () => {
  const broker = memoryBroker({ history: 100 });
  const connection = memoryConnection({ broker });
  const { promise, resolve } = Promise.withResolvers<void>();
  let done = 0;
  await connection.subscribe("orders", async () => {
    done += 1;
    if (done === 20_000) resolve();
  });
  const message = { id: "1", key: "order-1", source: "shop", content: "{}", attributes: {} };

  for (let batch = 0; batch < 20; batch += 1)
    await connection.publishBatch(
      "orders",
      Array.from({ length: 1_000 }, (_, index) => ({ ...message, key: String(index) })),
    );
  await promise;

  expect(broker.size).toBeLessThan(3_000);
  await connection.close();
});
