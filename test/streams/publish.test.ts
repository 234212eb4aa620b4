import { expect, test } from "vitest";

import type { Transport } from "../../src/streams/index.ts";

import { contextValue, createContext } from "../../src/context.ts";
import { createMessage } from "../../src/message.ts";
import { gate, order, streamsBench } from "./bench.ts";

test("a message is not sent before the one of its key before it was answered, and other keys do not wait", async () => {
  const { connect, settle } = streamsBench();
  const sent: string[] = [];
  const { opened, open } = gate();
  const connection = connect({}, slow(sent, opened));

  const all = Promise.all([order("a1", "a"), order("a2", "a"), order("b1", "b")].map((message) => connection.publish("orders", message)));
  await settle();
  expect(sent).toEqual(["a1", "b1"]);
  expect(connection.status().publishing).toBe(3);
  open();

  expect(await all).toEqual(["a1", "a2", "b1"]);
  expect(sent).toEqual(["a1", "b1", "a2"]);
  expect(connection.status().publishing).toBe(0);
});

test("a transport that keeps the order itself is given everything at once", async () => {
  const { connect, settle } = streamsBench();
  const sent: string[] = [];
  const connection = connect({}, (transport) => ({ ...slow(sent, new Promise(() => {}))(transport), keepsPublishOrder: true }));

  void connection.publishBatch("orders", [order("a1", "a"), order("a2", "a")]);
  await settle();

  expect(sent).toEqual(["a1", "a2"]);
});

test("a batch is settled message by message, and one that was refused does not stop those behind it", async () => {
  const { connect } = streamsBench();
  const refused = new Error("refused");
  const connection = connect({}, (transport) => ({
    ...transport,
    keepsPublishOrder: false,
    publish: (stream, message, options) => (message.id === "2" ? Promise.reject(refused) : transport.publish(stream, message, options)),
  }));

  const settlements = await connection.publishBatch(
    "orders",
    ["1", "2", "3"].map((id) => order(id)),
  );

  expect(settlements).toEqual([
    { status: "published", id: "1" },
    { status: "failed", error: expect.objectContaining({ code: "ERR_PUBLISH_FAILED", retryable: true, cause: refused }) },
    { status: "published", id: "3" },
  ]);
});

test("more than the buffer holds is refused retryably, and there is room again after an answer", async () => {
  const { connect } = streamsBench();
  const { opened, open } = gate();
  const connection = connect({ publishBuffer: 2 }, slow([], opened));
  const first = connection.publishBatch("orders", [order("1"), order("2")]);

  await expect(connection.publish("orders", order("3"))).rejects.toMatchObject({ code: "ERR_OVERLOADED", retryable: true });
  open();
  await first;

  await expect(connection.publish("orders", order("3"))).resolves.toBe("3");
});

test("a signal that aborts stops a message that waits behind another one", async () => {
  const { connect, settle } = streamsBench();
  const sent: string[] = [];
  const { opened, open } = gate();
  const connection = connect({}, slow(sent, opened));
  const controller = new AbortController();
  const first = connection.publish("orders", order("1"));
  const second = connection.publish("orders", order("2"), { signal: controller.signal });

  controller.abort(new Error("given up"));
  open();
  await first;

  await expect(second).rejects.toThrow("given up");
  await settle();
  expect(sent).toEqual(["1"]);
});

test("close waits for what is being published, up to its limit", async () => {
  const { connect, clock } = streamsBench();
  const { opened } = gate();
  const connection = connect({}, slow([], opened));
  void connection.publish("orders", order("1"));

  let isClosed = false;
  const closing = connection.close({ limit: 1_000 }).then(() => void (isClosed = true));
  await clock.advance(999);
  expect(isClosed).toBe(false);
  await clock.advance(1);
  await closing;

  expect(isClosed).toBe(true);
});

test("what a publisher does to its bytes afterwards changes no message, nor does a handler", async () => {
  const { connection, settle } = streamsBench();
  const content = new Uint8Array([1, 2, 3]);
  const got: unknown[] = [];
  const spoil = async (_ctx: unknown, message: { readonly content: unknown }): Promise<void> => {
    if (!(message.content instanceof Uint8Array)) return;
    got.push([...message.content]);
    message.content.fill(9);
  };
  await connection.subscribe("orders", spoil);
  await connection.subscribe("orders", spoil, { name: "other" });

  await connection.publish("orders", createMessage({ key: "order-1", source: "shop", content }));
  content.fill(7);
  await settle();

  expect(got).toEqual([
    [1, 2, 3],
    [1, 2, 3],
  ]);
});

test("declared context values travel with a message; what it says itself stays", async () => {
  const tenant = contextValue<string>("tenant");
  const { connection, settle } = streamsBench({ propagate: [{ attribute: "tenant", value: tenant }] });
  const got: unknown[] = [];
  await connection.subscribe("orders", async (ctx, { id }) => void got.push([id, tenant.get(ctx)]));
  const context = tenant.set(createContext(), "acme");

  await connection.publish("orders", order("1"), { context });
  await connection.publish("orders", { ...order("2"), attributes: { tenant: "other" } }, { context });
  await connection.publish("orders", order("3"));
  await settle();

  expect(got).toEqual([
    ["1", "acme"],
    ["2", "other"],
    ["3", undefined],
  ]);
});

test("each message says which client has published it, unless it says so itself", async () => {
  const { connection, settle } = streamsBench({ client: "shop" });
  const got: unknown[] = [];
  await connection.subscribe("orders", async (_ctx, { id, attributes }) => void got.push([id, attributes["client"]]));

  await connection.publish("orders", order("1"));
  await connection.publish("orders", { ...order("2"), attributes: { client: "till" } });
  await settle();

  expect(got).toEqual([
    ["1", "shop"],
    ["2", "till"],
  ]);
});

test("a context's signal gives up the publishing", async () => {
  const { connection } = streamsBench();
  const controller = new AbortController();
  controller.abort(new Error("given up"));

  const published = connection.publish("orders", order("1"), { context: createContext({ signal: controller.signal }) });

  await expect(published).rejects.toThrow("given up");
});

test.each([
  ["a stream without a name", "", order("1"), "ERR_INVALID_OPTION"],
  ["content that no wire can carry", "orders", { ...order("1"), content: JSON.parse("{}") }, "ERR_INVALID_MESSAGE"],
])("%s is refused", async (_what, stream, message, code) => {
  const { connection } = streamsBench();

  await expect(connection.publish(stream, message)).rejects.toMatchObject({ code, retryable: false });
});

test("what the transport tells of is told on", () => {
  const { connect } = streamsBench();
  let tell: Parameters<NonNullable<Transport["observe"]>>[0] | undefined;
  const connection = connect({}, (transport) => ({ ...transport, observe: (listener) => void (tell = listener) }));
  const told: unknown[] = [];
  const off = connection.on("state", (details) => told.push(details));
  connection.on("lag", (details) => told.push(details));
  connection.on("rebalance", (details) => told.push(details));

  tell?.state({ state: "reconnecting" });
  off();
  tell?.state({ state: "connected" });
  tell?.lag({ stream: "orders", name: "billing", messages: 3 });
  tell?.rebalance({ stream: "orders", name: "billing", gained: ["1"], lost: [] });

  expect(told).toEqual([
    { state: "reconnecting" },
    { stream: "orders", name: "billing", messages: 3 },
    { stream: "orders", name: "billing", gained: ["1"], lost: [] },
  ]);
});

function slow(sent: string[], opened: Promise<void>): (transport: Transport) => Transport {
  return (transport) => ({
    ...transport,
    keepsPublishOrder: false,
    async publish(stream, message, options) {
      sent.push(message.id);
      await opened;
      await transport.publish(stream, message, options);
    },
  });
}
