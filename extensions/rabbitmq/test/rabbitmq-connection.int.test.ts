import type { Message } from "event-driver";
import type { PullDelivery, PullSubscription } from "event-driver/streams";

import { rabbitmqConnection } from "@event-driver/rabbitmq";
import { createMessage, TerminalError } from "event-driver";
import { createServer } from "node:net";
import { setTimeout } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";

import { services, suiteWith } from "../../../test/services.ts";
import { asked, collector, connected, hasQueue, order, orders, until } from "./connected.ts";
import { publishRaw } from "./handles.ts";

const suite = await suiteWith("rabbitmq");

suite("records of others", () => {
  test("the content of a record of JSON is the text that was sent, to the last digit", async () => {
    const [connection, stream] = [await connected(), crypto.randomUUID()];
    const received: Message[] = [];
    await connection.subscribe(stream, async (_ctx, message) => void received.push(message));

    await publishRaw(stream, {
      contentType: "application/json",
      messageId: "m-1",
      body: Buffer.from('{"total":12.50,"id":12345678901234567890}'),
    });
    await until(() => expect(received).toHaveLength(1));

    expect(Buffer.from(received[0]?.content ?? "").toString()).toBe('{"total":12.50,"id":12345678901234567890}');
  });

  test("a record without an id of its own is delivered all the same, and acknowledged", async () => {
    const [connection, stream] = [await connected(), crypto.randomUUID()];
    const { ids, handle } = collector();
    await connection.subscribe(stream, handle);

    await publishRaw(stream, { contentType: "text/plain", body: Buffer.from([0xff, 0xfe]) });
    await publishRaw(stream, { contentType: "text/plain", body: Buffer.from([0xff, 0xfe]) });

    await until(() => expect(new Set(ids).size).toBe(2));
  });
});

suite("dead letters", () => {
  test("a dead letter is kept for who subscribes to its stream later, under the stream's own name", async () => {
    const [connection, stream, deadLetter] = [await connected(), crypto.randomUUID(), crypto.randomUUID()];
    await connection.subscribe(stream, () => Promise.reject(new TerminalError("cancelled")), { deadLetter });
    const putAside = new Promise<void>((resolve) => connection.on("failure", ({ next: fate }) => fate === "dead letter" && resolve()));
    await connection.publish(stream, order("1"));
    await putAside;
    const { ids, handle } = collector();

    await connection.subscribe(deadLetter, handle);

    await until(() => expect(ids).toEqual(["1"]));
  });

  test("a dead letter expires after its retention", async () => {
    const [connection, stream, deadLetter] = [await connected(), crypto.randomUUID(), crypto.randomUUID()];
    await connection.subscribe(stream, () => Promise.reject(new TerminalError("cancelled")), {
      deadLetter: { stream: deadLetter, retention: 50 },
    });
    const putAside = new Promise<void>((resolve) => connection.on("failure", ({ next: fate }) => fate === "dead letter" && resolve()));
    await connection.publish(stream, order("1"));
    await putAside;
    await until(async () => expect(await waitingIn(deadLetter)).toBe(0));
    const { ids, handle } = collector();

    await connection.subscribe(deadLetter, handle);
    await connection.publish(deadLetter, order("2"));
    await until(() => expect(ids).toContain("2"));

    expect(ids).toEqual(["2"]);
  });
});

suite("streams without a subscription", () => {
  test("publish rejects where unrouted is refused, until somebody has subscribed", async () => {
    const [connection, stream] = [await connected({ unrouted: "refuse" }), crypto.randomUUID()];
    const { ids, handle } = collector();

    await expect(connection.publish(stream, order("1"))).rejects.toMatchObject({ code: "ERR_PUBLISH_FAILED", retryable: true });
    await connection.subscribe(stream, handle);
    await connection.publish(stream, order("2"));

    await until(() => expect(ids).toEqual(["2"]));
  });
});

suite("streams that somebody removes", () => {
  test("what is published when the exchange is gone is rejected, and makes it again for what follows", async () => {
    const [connection, stream] = [await connected(), crypto.randomUUID()];
    await connection.publish(stream, order("1"));

    await asked((channel) => channel.exchangeDelete({ exchange: stream }));

    await expect(connection.publish(stream, order("2"))).rejects.toMatchObject({ code: "ERR_PUBLISH_FAILED", retryable: true });
    expect(await connection.publish(stream, order("3"))).toBe("3");
  });
});

suite("delays", () => {
  test("a short delay does not wait behind a long one, and what comes back is as it was published", async () => {
    const [connection, stream] = [await connected(), crypto.randomUUID()];
    const subscription = await connection.pull(stream);
    const message = createMessage({
      id: "short",
      key: "Schlüssel",
      source: "shop",
      origin: "https://shop.example",
      type: "order.created",
      time: "2026-01-01T00:00:00Z",
      content: new Uint8Array([0, 255]),
      attributes: { tenant: "ACME & Söhne", datacontenttype: "application/json" },
    });
    await connection.publish(stream, order("long"));
    await connection.publish(stream, message);
    const [long, short] = [await next(subscription), await next(subscription)];

    await long.nack({ delay: 600_000 });
    await short.nack({ delay: 30 });
    const again = await next(subscription);
    await again.nack({ delay: 10 });
    const last = await next(subscription);

    expect([again.message, last.message]).toEqual([message, message]);
    expect([short.attempt, again.attempt, last.attempt]).toEqual([1, 2, 3]);
    expect(new Set([short.position, again.position, last.position]).size).toBe(1);
    await last.ack();
  });

  test("a message that fails under order by none is tried again after each of its delays", async () => {
    const [connection, stream] = [await connected(), crypto.randomUUID()];
    const attempts: number[] = [];
    await connection.subscribe(
      stream,
      async (ctx) => {
        attempts.push(ctx.attempt);
        if (ctx.attempt < 4) throw new Error("not yet");
      },
      { order: "none", retry: { delays: [10, 123, 4] } },
    );

    await connection.publish(stream, order("1"));

    await until(() => expect(attempts).toEqual([1, 2, 3, 4]));
  });

  test("what is given back comes before what follows it, in its order", async () => {
    const [connection, stream] = [await connected(), crypto.randomUUID()];
    const subscription = await connection.pull(stream, { maxInFlight: 3 });
    for (const message of orders(6, 1)) await connection.publish(stream, message);
    const first = [await next(subscription), await next(subscription), await next(subscription)];

    for (const delivery of first) await delivery.nack();
    const ids: string[] = [];
    while (ids.length < 6) {
      const delivery = await next(subscription);
      ids.push(delivery.message.id);
      await delivery.ack();
    }

    expect(ids).toEqual(["0", "1", "2", "3", "4", "5"]);
  });
});

suite("who has a name", () => {
  test("a name that one connection has alone is refused to another one, and one that others have cannot be had alone", async () => {
    const [one, other, stream] = [await connected(), await connected(), crypto.randomUUID()];
    const { handle } = collector();

    const alone = await one.subscribe(stream, handle, { serial: true });
    await expect(other.subscribe(stream, handle)).rejects.toMatchObject({ code: "ERR_SUBSCRIPTION_BUSY", retryable: true });
    await expect(one.subscribe(stream, handle)).rejects.toMatchObject({ code: "ERR_SUBSCRIPTION_BUSY", retryable: true });
    await alone.close();
    const shared = await other.subscribe(stream, handle);
    await expect(one.subscribe(stream, handle, { serial: true })).rejects.toMatchObject({ code: "ERR_SUBSCRIPTION_BUSY", retryable: true });
    await shared.close();

    await one.subscribe(stream, handle, { serial: true });
  });

  test("reset removes what waits for a name", async () => {
    const [connection, stream] = [await connected(), crypto.randomUUID()];
    await (await connection.subscribe(stream, collector().handle)).close();
    await connection.publish(stream, order("1"));
    const { ids, handle } = collector();

    await connection.subscribe(stream, handle, { reset: true });
    await connection.publish(stream, order("2"));
    await until(() => expect(ids).toContain("2"));

    expect(ids).toEqual(["2"]);
  });

  test("unsubscribe removes the queue of a name, unless another connection has it", async () => {
    const [one, other, stream] = [await connected(), await connected(), crypto.randomUUID()];
    const staying = await other.pull(stream, { maxInFlight: 1 });
    for (const message of orders(2, 2)) await one.publish(stream, message);
    const held = await next(staying);
    const leaving = await one.pull(stream, { maxInFlight: 1 });
    await next(leaving);

    await leaving.unsubscribe({ limit: 0 });
    expect(await waitingIn(stream)).toBe(1);
    await held.ack();
    await (await next(staying)).ack();
    await staying.unsubscribe();

    expect(await hasQueue(stream)).toBe(false);
  });

  test("close removes the queue of a name that is not durable", async () => {
    const [connection, stream] = [await connected({ queueArguments: {} }), crypto.randomUUID()];
    const subscription = await connection.subscribe(stream, collector().handle, { durable: false });
    expect(await hasQueue(stream)).toBe(true);

    await subscription.close();

    expect(await hasQueue(stream)).toBe(false);
  });

  test("asking for a position that is not durable where there is a durable one is an error, and harms nothing", async () => {
    const [connection, stream] = [await connected({ queueArguments: {} }), crypto.randomUUID()];
    await (await connection.subscribe(stream, collector().handle)).close();
    await connection.publish(stream, order("1"));
    const { ids, handle } = collector();

    await expect(connection.subscribe(stream, handle, { durable: false })).rejects.toMatchObject({ code: "ERR_TOPOLOGY" });
    const subscription = await connection.subscribe(stream, handle);

    await until(() => expect(ids).toEqual(["1"]));
    await subscription.unsubscribe();
  });

  test("with a single active consumer the next one begins when the one before has finished, and not sooner", async () => {
    const options = { singleActiveConsumer: true };
    const [one, other, stream] = [await connected(options), await connected(options), crypto.randomUUID()];
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const log: string[] = [];
    const subscription = await one.subscribe(stream, async (_ctx, { id }) => {
      begin();
      await opened;
      log.push(`one did ${id}`);
    });
    await other.subscribe(stream, async (_ctx, { id }) => void log.push(`other did ${id}`));
    for (const message of orders(3, 1)) await one.publish(stream, message);
    await begun;

    const closing = subscription.close();
    await other.publish(stream, order("3"));
    await setTimeout(50);
    open();
    await closing;
    await until(() => expect(log).toHaveLength(4));

    expect(log).toEqual(["one did 0", "other did 1", "other did 2", "other did 3"]);
  });
});

suite("topology", () => {
  test("with check a missing exchange and a missing queue are errors, and nothing is made", async () => {
    const [connection, stream] = [await connected({ topology: "check" }), crypto.randomUUID()];

    await expect(connection.publish(stream, order("1"))).rejects.toMatchObject({ code: "ERR_TOPOLOGY" });
    await expect(connection.subscribe(stream, collector().handle)).rejects.toMatchObject({ code: "ERR_TOPOLOGY" });

    expect(await hasQueue(stream)).toBe(false);
    await expect(asked((channel) => channel.exchangeDeclare({ exchange: stream, passive: true }))).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
  });

  test("with check what others have made is used as it is, and unsubscribe empties it and leaves it", async () => {
    const stream = crypto.randomUUID();
    await asked(async (channel) => {
      await channel.exchangeDeclare({ exchange: stream, type: "topic", durable: true });
      await channel.queueDeclare({ queue: stream, durable: true, arguments: { "x-queue-type": "quorum", "x-expires": 600_000 } });
      await channel.queueBind({ exchange: stream, queue: stream, routingKey: "order.*" });
    });
    const [connection, { ids, handle }] = [await connected({ topology: "check" }), collector()];
    const subscription = await connection.subscribe(stream, handle);

    await connection.publish(stream, order("1", "order.1"));
    await connection.publish(stream, order("2", "invoice.1"));
    await connection.publish(stream, order("3", "order.2"));
    await until(() => expect(ids).toEqual(["1", "3"]));
    await subscription.unsubscribe();

    expect(await hasQueue(stream)).toBe(true);
  });

  test("a queue that is there with other settings is an error that names it", async () => {
    const [connection, stream] = [await connected(), crypto.randomUUID()];
    await asked((channel) =>
      channel.queueDeclare({ queue: stream, durable: true, arguments: { "x-queue-type": "quorum", "x-expires": 1_000 } }),
    );

    await expect(connection.subscribe(stream, collector().handle)).rejects.toMatchObject({
      code: "ERR_TOPOLOGY",
      message: expect.stringContaining(stream),
    });
  });

  test("a queue that is removed under a subscription is made again, and what is published from then on comes", async () => {
    const [connection, stream, { ids, handle }] = [await connected(), crypto.randomUUID(), collector()];
    await connection.subscribe(stream, handle);

    await asked((channel) => channel.queueDelete({ queue: stream }));
    await until(async () => expect(await hasQueue(stream)).toBe(true));
    await until(async () => {
      await connection.publish(stream, order(crypto.randomUUID()));
      expect(ids).not.toEqual([]);
    });
  });
});

suite("what it tells", () => {
  test("how many messages wait for a name", async () => {
    const [connection, stream] = [await connected({ lagInterval: 20 }), crypto.randomUUID()];
    const lags: unknown[] = [];
    connection.on("lag", (lag) => lags.push(lag));
    await (await connection.subscribe(stream, collector().handle)).close();
    for (const message of orders(3, 3)) await connection.publish(stream, message);
    const subscription = await connection.pull(stream, { maxInFlight: 1 });

    await until(() => expect(lags.at(-1)).toEqual({ stream, name: stream, messages: 2 }));

    await subscription.close();
  });
});

suite("the first connection", () => {
  test("a broker that does not answer is an error that names the server and no user", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;

    const connecting = rabbitmqConnection({ url: `amqp://anna:secret@127.0.0.1:${port}`, connectTimeout: 100 });

    const error: unknown = await connecting.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "ERR_CONNECTION_FAILED", retryable: true, message: expect.stringContaining(`127.0.0.1:${port}`) });
    expect(String(error)).not.toMatch(/anna|secret/);
  });

  test("a refused login is an error at once, which trying again would not mend", async () => {
    const url = Object.assign(new URL(services.rabbitmq.url), { password: "wrong" }).href;

    await expect(rabbitmqConnection({ url, connectTimeout: 600_000 })).rejects.toMatchObject({
      code: "ERR_CONNECTION_FAILED",
      retryable: false,
    });
  });
});

/** The next delivery of a loop. */
async function next(subscription: PullSubscription): Promise<PullDelivery> {
  const result = await subscription[Symbol.asyncIterator]().next();
  if (result.done === true) throw new Error("the loop has ended");
  return result.value;
}

async function waitingIn(queue: string): Promise<number> {
  return (await asked((channel) => channel.queueDeclare({ queue, passive: true }))).messageCount;
}
