import { type ConsumerInfo, jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { randomUUID } from "node:crypto";
import { createMessage, type Message } from "event-driver";
import { deliveryOf } from "event-driver/streams";
import { expect, onTestFinished, test, vi } from "vitest";

import { services, suiteWith } from "../../../test/services.ts";
import { encodeName } from "../src/names.ts";
import { natsConnection, type NatsConnectionOptions } from "../src/index.ts";
import { publishRaw } from "./nats-bench.ts";

const suite = await suiteWith("nats");
const url = services.nats.url;
const patience = { timeout: 20_000, interval: 5 };

suite("NATS, and what is its own", () => {
  test("an event that is published twice within the duplicate window is there once", async () => {
    const connection = await opened();
    const { stream, ids } = await watched(connection);

    await connection.publish(stream, message("1"));
    await connection.publish(stream, message("1"));
    await connection.publish(stream, message("2"));
    await vi.waitFor(() => expect(ids).toContain("2"), patience);

    expect(ids).toEqual(["1", "2"]);
  });

  test("without deduplicate it is there twice", async () => {
    const connection = await opened({ deduplicate: false });
    const { stream, ids } = await watched(connection);

    await connection.publish(stream, message("1"));
    await connection.publish(stream, message("1"));

    await vi.waitFor(() => expect(ids).toEqual(["1", "1"]), patience);
  });

  test("a dead letter that is put back into its stream at once is delivered again, as often as that is done", async () => {
    const connection = await opened();
    const [stream, deadLetter] = [randomUUID(), randomUUID()];
    const attempts: string[] = [];
    await connection.subscribe(deadLetter, async (_ctx, letter) => void (await connection.publish(stream, letter)));
    await connection.subscribe(
      stream,
      async (_ctx, { attributes }) => {
        attempts.push(attributes["dlattempts"] ?? "none");
        if (attempts.length < 4) throw new Error("not yet");
      },
      { deadLetter, retry: { delays: [] } },
    );

    await connection.publish(stream, message("1"));

    await vi.waitFor(() => expect(attempts).toEqual(["none", "1", "2", "3"]), patience);
  });

  test("a slow handler is never given more than it may have unsettled, and 10,000 messages are done once each", async () => {
    const connection = await opened();
    const stream = randomUUID();
    const done = new Map<string, number>();
    let running = 0;
    let most = 0;
    let mostUnsettled = 0;
    await connection.subscribe(
      stream,
      async (_ctx, { id }) => {
        running += 1;
        most = Math.max(most, running);
        mostUnsettled = Math.max(mostUnsettled, connection.status().subscriptions[0]?.inFlight ?? 0);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        done.set(id, (done.get(id) ?? 0) + 1);
      },
      { maxInFlight: 64, concurrency: 32 },
    );

    for (let batch = 0; batch < 10; batch += 1)
      await connection.publishBatch(
        stream,
        Array.from({ length: 1_000 }, (_, index) => message(`${batch}-${index}`, `order-${index}`)),
      );
    await vi.waitFor(() => expect(done.size).toBe(10_000), patience);

    expect([...done.values()].every((times) => times === 1)).toBe(true);
    expect(most).toBeLessThanOrEqual(32);
    expect(mostUnsettled).toBeLessThanOrEqual(64);
  });

  test("a stream is made as the options say", async () => {
    const connection = await opened({ stream: { maxAge: 3_600_000, maxBytes: 1_000_000, discard: "new", storage: "memory" } });
    const stream = randomUUID();

    await connection.publish(stream, message("1"));

    const { streams } = await manager();
    const { config } = await streams.info(stream);
    // What is reserved in the broker's memory.
    await streams.delete(stream);
    expect(config).toMatchObject({
      subjects: [stream],
      max_age: 3_600e9,
      max_bytes: 1_000_000,
      discard: "new",
      storage: "memory",
      retention: "limits",
      duplicate_window: 120e9,
      allow_msg_ttl: true,
    });
  });

  test("with topology check a stream or a name that is missing is an error, and nothing is made", async () => {
    const connection = await opened({ topology: "check" });
    const stream = randomUUID();
    const jetstream = await manager();

    await expect(connection.publish(stream, message("1"))).rejects.toMatchObject({ code: "ERR_TOPOLOGY", retryable: true });
    await expect(connection.subscribe(stream, async () => {})).rejects.toMatchObject({ code: "ERR_TOPOLOGY" });
    await expect(jetstream.streams.info(stream)).rejects.toThrow("stream not found");
    await jetstream.streams.add({ name: stream, subjects: [stream] });

    await expect(connection.subscribe(stream, async () => {}, { name: "billing" })).rejects.toMatchObject({ code: "ERR_TOPOLOGY" });
    await expect(connection.subscribe(stream, async () => {}, { name: "billing", reset: true })).rejects.toMatchObject({
      code: "ERR_UNSUPPORTED",
    });
    expect((await jetstream.streams.info(stream)).state.consumer_count).toBe(0);
  });

  test("with topology check what is there is used as it is", async () => {
    const connection = await opened({ topology: "check" });
    const stream = randomUUID();
    const jetstream = await manager();
    await jetstream.streams.add({ name: stream, subjects: [stream] });
    await jetstream.consumers.add(stream, { durable_name: "billing", ack_policy: "explicit", ack_wait: 60e9 });
    const ids: string[] = [];

    await connection.subscribe(stream, async (_ctx, { id }) => void ids.push(id), { name: "billing" });
    await connection.publish(stream, message("1"));

    await vi.waitFor(() => expect(ids).toEqual(["1"]), patience);
    expect((await jetstream.consumers.info(stream, "billing")).config.ack_wait).toBe(60e9);
  });

  const unfit = [
    ["acknowledges nothing", { ack_policy: "none" }],
    ["gives up after some deliveries", { ack_policy: "explicit", max_deliver: 5 }],
    ["is pushed to", { ack_policy: "explicit", deliver_subject: "somewhere" }],
  ] as const;

  test.each(unfit)("a consumer that %s is refused, because messages would get lost", async (_what, config) => {
    const connection = await opened();
    const stream = randomUUID();
    const jetstream = await manager();
    await jetstream.streams.add({ name: stream, subjects: [stream] });
    await jetstream.consumers.add(stream, { durable_name: "billing", ...config });

    await expect(connection.subscribe(stream, async () => {}, { name: "billing" })).rejects.toMatchObject({ code: "ERR_TOPOLOGY" });
  });

  test("a stream without the subject is refused, and one with another name and subject is found by the option streams", async () => {
    const [stream, name, subject] = [randomUUID(), randomUUID(), `shop.${randomUUID()}.orders`];
    const jetstream = await manager();
    await jetstream.streams.add({ name, subjects: [`${subject.split(".orders")[0]}.*`] });

    const lost = await opened({ streams: { [stream]: { name } } });
    await expect(lost.publish(stream, message("1"))).rejects.toMatchObject({ code: "ERR_TOPOLOGY" });
    const connection = await opened({ streams: { [stream]: { name, subject } } });
    const { ids } = await watched(connection, stream);
    await publishRaw(subject.replace(/orders$/, "bills"), {});
    await connection.publish(stream, message("1"));

    await vi.waitFor(() => expect(ids).toEqual(["1"]), patience);
  });

  test("what no CloudEvents producer has written is a message too", async () => {
    const connection = await opened();
    const stream = randomUUID();
    const got: Message<unknown>[] = [];
    await connection.subscribe(stream, async (_ctx, each) => void got.push(each));

    await publishRaw(stream, { tenant: "acme" }, "plain");
    await vi.waitFor(() => expect(got.length).toBe(1), patience);

    expect(got[0]).toMatchObject({ source: stream, attributes: { tenant: "acme" } });
    expect(Buffer.from(String(got[0]?.content)).toString()).toBe("plain");
  });

  test("a name that was shared can be taken alone, keeps one message at a time at the broker, and can be shared again", async () => {
    const connection = await opened();
    const stream = randomUUID();
    const limits: (number | undefined)[] = [];

    for (const serial of [false, true, false]) {
      const subscription = await connection.subscribe(stream, async () => {}, { serial });
      limits.push((await consumer(stream)).config.max_ack_pending);
      await subscription.close();
    }

    expect(limits).toEqual([-1, 1, -1]);
  });

  test("a stream that was removed while it is published to is made again", async () => {
    const connection = await opened();
    const stream = randomUUID();
    await connection.publish(stream, message("1"));

    await (await manager()).streams.delete(stream);
    await connection.publish(stream, message("2"));

    expect((await (await manager()).streams.info(stream)).state.messages).toBe(1);
  });

  test("a subscription whose position was removed at the broker says that it is lost", async () => {
    const connection = await opened();
    const stream = randomUUID();
    const lost: unknown[] = [];
    connection.on("lost", (details) => lost.push(details));
    await connection.subscribe(stream, async () => {}, { name: "billing" });

    await (await manager()).consumers.delete(stream, "billing");

    const error = expect.objectContaining({ code: "ERR_DELIVERY_LOST", retryable: true });
    await vi.waitFor(() => expect(lost).toEqual([{ stream, name: "billing", error }]), patience);
  });

  test("a position that is not durable is made again where it was, when the broker has removed it", async () => {
    const connection = await opened();
    const stream = randomUUID();
    const ids: string[] = [];
    await connection.subscribe(stream, async (_ctx, { id }) => void ids.push(id), { name: "billing", durable: false });
    await connection.publish(stream, message("1"));
    await vi.waitFor(() => expect(ids).toEqual(["1"]), patience);

    await (await manager()).consumers.delete(stream, "billing");
    await connection.publish(stream, message("2"));

    await vi.waitFor(() => expect(ids).toEqual(["1", "2"]), patience);
  });

  test("a connection tells how far behind a name is", async () => {
    const connection = await opened();
    const stream = randomUUID();
    const lags: unknown[] = [];
    connection.on("lag", (details) => lags.push(details));
    await connection.publishBatch(
      stream,
      Array.from({ length: 20 }, (_, index) => message(String(index))),
    );

    await connection.subscribe(stream, async () => {}, { name: "billing", backfill: true });

    await vi.waitFor(() => expect(lags[0]).toEqual({ stream, name: "billing", messages: 19 }), patience);
  });

  test("the position of a delivery is that of the message in the JetStream stream", async () => {
    const connection = await opened();
    const stream = randomUUID();
    const positions: (string | undefined)[] = [];
    await connection.subscribe(stream, async (ctx) => void positions.push(deliveryOf(ctx)?.position));

    await connection.publish(stream, message("1"));
    await connection.publish(stream, message("2"));

    await vi.waitFor(() => expect(positions).toEqual(["1", "2"]), patience);
  });

  test("a message that is larger than the broker takes is refused at once, with what to do", async () => {
    const connection = await opened();
    const content = "x".repeat(9 * 1_048_576);

    await expect(connection.publish(randomUUID(), createMessage({ key: "k", source: "shop", content }))).rejects.toMatchObject({
      code: "ERR_TOO_LARGE",
      retryable: false,
      message: expect.stringContaining("max_payload"),
    });
  });

  test("a broker that does not answer is named by host and port, and by nothing else of its URL", async () => {
    const refusal = await natsConnection({ url: "nats://ann:secret@127.0.0.1:1", connectTimeout: 200 }).catch((error: unknown) => error);

    expect(refusal).toMatchObject({ code: "ERR_CONNECTION_FAILED", retryable: true, message: expect.stringContaining("127.0.0.1:1 ") });
    expect(String(refusal)).not.toMatch(/ann|secret/);
  });

  test("one subscription at a time can be reset, which others keep from happening", async () => {
    const connection = await opened();
    const { stream } = await watched(connection);

    await expect(connection.subscribe(stream, async () => {}, { serial: true })).rejects.toMatchObject({ code: "ERR_SUBSCRIPTION_BUSY" });
    await expect(connection.subscribe(stream, async () => {}, { reset: true })).rejects.toMatchObject({ code: "ERR_SUBSCRIPTION_BUSY" });
  });

  test("of several that want a name alone at the same moment at most one has it", async () => {
    const connections = await Promise.all(Array.from({ length: 5 }, () => opened()));
    const stream = randomUUID();

    const outcomes = await Promise.allSettled(connections.map((each) => each.subscribe(stream, async () => {}, { serial: true })));

    expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBeLessThanOrEqual(1);
  });
});

async function opened(options: Omit<NatsConnectionOptions, "url"> = {}): ReturnType<typeof natsConnection> {
  const connection = await natsConnection({ url, ...options });
  onTestFinished(() => connection.close({ limit: 1_000 }));
  return connection;
}

/** A stream and the ids of what comes in it. */
async function watched(
  connection: Awaited<ReturnType<typeof opened>>,
  stream: string = randomUUID(),
): Promise<{ readonly stream: string; readonly ids: readonly string[] }> {
  const ids: string[] = [];
  await connection.subscribe(stream, async (_ctx, { id }) => void ids.push(id));
  return { stream, ids };
}

async function manager(): Promise<JetStreamManager> {
  const client = await connect({ servers: url });
  onTestFinished(() => client.close());
  return jetstreamManager(client);
}

async function consumer(stream: string): Promise<ConsumerInfo> {
  return (await manager()).consumers.info(encodeName(stream), encodeName(stream));
}

function message(id: string, key: string = "order-1"): Message<string> {
  return createMessage({ id, key, source: "shop", content: "x" });
}
