import { rabbitmqConnection } from "@event-driver/rabbitmq";
import { execFile } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";

import { ownBroker } from "../../../test/broker-process.ts";
import { services, suiteWith } from "../../../test/services.ts";
import { asked, collector, connected, order, orders, until } from "./connected.ts";
import { forTests } from "./handles.ts";
import { toxicProxy } from "../../../test/toxic-proxy.ts";

const suite = await suiteWith("rabbitmq", "toxiproxy");

suite("a broker that dies", () => {
  test("what was published before and after a broker was killed is delivered, and subscriptions go on", { timeout: 240_000 }, async () => {
    const broker = await ownBroker("rabbitmq");
    onTestFinished(() => broker.stop());
    const [connection, stream, { ids, handle }] = [
      await connected({ url: broker.url, queueArguments: {}, clientOptions: { retryHigh: 500 } }),
      crypto.randomUUID(),
      collector(),
    ];
    const subscription = await connection.subscribe(stream, handle, { name: "idle" });
    await subscription.close();
    await connection.subscribe(stream, handle, { name: "busy", deadLetter: `${stream}-dead` });
    // A quorum queue that is younger than this may be lost by the broker itself.
    await setTimeout(3_000);
    const published = await publishedOf(connection.publishBatch(stream, orders(500, 20)));

    await broker.kill();
    const meanwhile = connection.publishBatch(stream, [order("meanwhile")]);
    await broker.restart();
    published.push(...(await publishedOf(meanwhile)));
    await untilLong(() => expect(connection.status().state).toBe("connected"));
    published.push(...(await publishedOf(connection.publishBatch(stream, [order("afterwards")]))));
    const late = collector();
    await connection.subscribe(stream, late.handle, { name: "idle" });

    await untilLong(() => expect(published.filter((id) => !ids.includes(id))).toEqual([]));
    await untilLong(() => expect(published.filter((id) => !late.ids.includes(id))).toEqual([]));
    expect(published).toContain("afterwards");
  });

  test("what waits out a delay at the broker survives its end", { timeout: 240_000 }, async () => {
    const broker = await ownBroker("rabbitmq");
    onTestFinished(() => broker.stop());
    const [connection, stream] = [
      await connected({ url: broker.url, queueArguments: {}, clientOptions: { retryHigh: 500 } }),
      crypto.randomUUID(),
    ];
    const { ids, handle } = collector();
    // The wait queue is made by a first message, for the same reason as above.
    await connection.subscribe(
      stream,
      async (ctx, message) => {
        if (ctx.attempt === 1) throw new Error("not yet");
        await handle(ctx, message);
      },
      { order: "none", retry: { delays: [4_000] } },
    );
    await connection.publish(stream, order("first"));
    await untilLong(() => expect(ids).toEqual(["first"]));
    let failures = 0;
    connection.on("failure", () => (failures += 1));
    for (const message of orders(50, 50)) await connection.publish(stream, message);
    await untilLong(() => expect([failures, connection.status().subscriptions[0]?.inFlight]).toEqual([50, 0]));

    await broker.kill();
    await broker.restart();

    await untilLong(() => expect(new Set(ids).size).toBe(51));
  });
});

suite("a network that breaks", () => {
  test("a connection that is cut while it publishes reports nothing as published that is lost", async () => {
    const proxy = await toxicProxy(services.rabbitmq.url);
    onTestFinished(() => proxy.remove());
    const [connection, reader] = [await connected({ url: proxy.url, clientOptions: { retryHigh: 500 } }), await connected()];
    const [stream, { ids, handle }] = [crypto.randomUUID(), collector()];
    await reader.subscribe(stream, handle);
    const published: string[] = [];

    for (let round = 0; round < 5; round += 1) {
      const publishing = connection.publishBatch(
        stream,
        orders(200, 20).map((message) => ({ ...message, id: `${round}-${message.id}` })),
      );
      await setTimeout(round * 3);
      await (round % 2 === 0 ? proxy.cut() : proxy.cutAnswers());
      await setTimeout(20);
      await proxy.mend();
      published.push(...(await publishedOf(publishing)));
    }
    published.push(await connection.publish(stream, order("last")));

    await until(() => expect(published.filter((id) => !ids.includes(id))).toEqual([]));
  });

  test("deliveries of a connection that is cut are lost to their handlers, and come again", async () => {
    const proxy = await toxicProxy(services.rabbitmq.url);
    onTestFinished(() => proxy.remove());
    const connection = await connected({ url: proxy.url, clientOptions: { retryHigh: 500 } });
    const stream = crypto.randomUUID();
    const reasons: unknown[] = [];
    const attempts: number[] = [];
    await connection.subscribe(stream, async (ctx) => {
      attempts.push(ctx.attempt);
      if (ctx.attempt === 1)
        await new Promise<void>((resolve) => ctx.signal.addEventListener("abort", () => resolve(void reasons.push(ctx.signal.reason))));
    });
    await connection.publish(stream, order("1"));
    await until(() => expect(attempts).toEqual([1]));

    await proxy.cut();
    await until(() => expect(reasons).toMatchObject([{ code: "ERR_DELIVERY_LOST" }]));
    await proxy.mend();

    await until(() => expect(attempts).toEqual([1, 2]));
  });

  test("what is published before its connection is up again goes out in the order of the calls", async () => {
    const proxy = await toxicProxy(services.rabbitmq.url);
    onTestFinished(() => proxy.remove());
    const [connection, reader] = [await connected({ url: proxy.url, clientOptions: { retryHigh: 500 } }), await connected()];
    const [stream, { ids, handle }] = [crypto.randomUUID(), collector()];
    await reader.subscribe(stream, handle, { concurrency: 1 });
    await connection.publish(stream, order("first"));
    await proxy.cut();
    await until(() => expect(connection.status().state).toBe("reconnecting"));
    // By one of its two connections: what is published before the other has noticed is refused.
    await setTimeout(500);

    const { signal } = new AbortController();
    const publishing = orders(100, 1).map((message, index) => connection.publish(stream, message, index % 3 === 0 ? { signal } : {}));
    await proxy.mend();
    await Promise.all(publishing);

    await until(() => expect(ids).toEqual(["first", ...orders(100, 1).map(({ id }) => id)]));
  });

  test("a subscription that is begun while the broker is out of reach begins when it is back, or ends with its connection", async () => {
    const proxy = await toxicProxy(services.rabbitmq.url);
    onTestFinished(() => proxy.remove());
    const options = { url: proxy.url, clientOptions: { retryHigh: 500 } };
    const [connection, closed] = [await connected(options), await connected(options)];
    const [stream, { ids, handle }] = [crypto.randomUUID(), collector()];
    await proxy.cut();
    await until(() => expect([connection.status().state, closed.status().state]).toEqual(["reconnecting", "reconnecting"]));

    const subscribing = connection.subscribe(stream, handle);
    const refused = closed.subscribe(stream, handle).catch((error: unknown) => error);
    await closed.close({ limit: 10 });
    expect(await refused).toMatchObject({ code: "ERR_CONNECTION_CLOSED", retryable: true });
    await proxy.mend();
    await subscribing;
    await connection.publish(stream, order("1"));

    await until(() => expect(ids).toEqual(["1"]));
  });

  test("unsubscribe says so when it could not remove the queue of a name", async () => {
    const proxy = await toxicProxy(services.rabbitmq.url);
    onTestFinished(() => proxy.remove());
    const [connection, stream] = [await connected({ url: proxy.url }), crypto.randomUUID()];
    const subscription = await connection.subscribe(stream, collector().handle);
    await proxy.cut();
    await until(() => expect(connection.status().state).toBe("reconnecting"));

    await expect(subscription.unsubscribe()).rejects.toMatchObject({ code: "ERR_TOPOLOGY", message: expect.stringContaining(stream) });
  });

  test("close does not wait for a broker that is out of reach", async () => {
    const proxy = await toxicProxy(services.rabbitmq.url);
    onTestFinished(() => proxy.remove());
    const connection = await rabbitmqConnection({ url: proxy.url, queueArguments: forTests });
    const stream = crypto.randomUUID();
    await connection.subscribe(stream, collector().handle);
    await connection.publish(stream, order("1"));

    await proxy.freeze();
    await connection.close({ limit: 10 });

    expect(connection.status().state).toBe("closed");
  });
});

suite("a process that ends", () => {
  test("one that is killed between its handler and the acknowledgement loses nothing", async () => {
    const [connection, stream] = [await connected(), crypto.randomUUID()];
    await (await connection.subscribe(stream, collector().handle)).close();
    await connection.publishBatch(stream, orders(20, 20));

    const output = await run("work-and-die", stream).catch((error: unknown) => error);
    const { ids, handle } = collector();
    await connection.subscribe(stream, handle);

    expect(output).toMatchObject({ signal: "SIGKILL" });
    await until(() => expect(new Set(ids).size).toBe(20));
  });

  test("one that has closed its connection ends by itself", async () => {
    expect(await run("publish-and-close", crypto.randomUUID())).toBe("closed\n");
  });
});

suite("load", () => {
  test("10,000 messages for a slow handler: all are done, and few are in memory", async () => {
    const [connection, stream] = [await connected(), crypto.randomUUID()];
    const done = new Set<string>();
    let most = 0;
    await connection.subscribe(
      stream,
      async (_ctx, { id }) => {
        most = Math.max(most, connection.status().subscriptions[0]?.inFlight ?? 0);
        await setTimeout(1);
        done.add(id);
      },
      { maxInFlight: 100, concurrency: 50 },
    );

    await connection.publishBatch(stream, orders(10_000, 500));
    await until(() => expect(done.size).toBe(10_000));

    expect(most).toBeLessThanOrEqual(100);
  });

  test("close under load finishes what is worked on, and what was done is not done again", async () => {
    const [publisher, stream] = [await connected(), crypto.randomUUID()];
    const worker = await connected();
    const [done, begun] = [new Set<string>(), new Set<string>()];
    await worker.subscribe(
      stream,
      async (_ctx, { id }) => {
        begun.add(id);
        await setTimeout(2);
        done.add(id);
      },
      { concurrency: 64 },
    );
    const publishing = publisher.publishBatch(stream, orders(3_000, 300));
    await until(() => expect(done.size).toBeGreaterThan(200));

    await worker.close();
    expect(done).toEqual(begun);
    await publishing;
    const rest = collector();
    await publisher.subscribe(stream, rest.handle);
    await until(() => expect(rest.ids.length + done.size).toBeGreaterThanOrEqual(3_000));

    expect(rest.ids.filter((id) => done.has(id))).toEqual([]);
    expect(await asked((channel) => channel.queueDeclare({ queue: stream, passive: true }))).toMatchObject({ messageCount: 0 });
  });
});

async function publishedOf(
  publishing: Promise<readonly ({ readonly status: "published"; readonly id: string } | { readonly status: "failed" })[]>,
): Promise<string[]> {
  return (await publishing).flatMap((settlement) => (settlement.status === "published" ? [settlement.id] : []));
}

function untilLong(isSo: () => void): Promise<void> {
  return until(isSo, 120_000);
}

/** Runs one of the programs in `children` to its end. Resolves with what it printed. */
async function run(program: string, stream: string): Promise<string> {
  const file = fileURLToPath(new URL(`./children/${program}.ts`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [
    "-C",
    "@event-driver/source",
    "--disable-warning=ExperimentalWarning",
    file,
    services.rabbitmq.url,
    stream,
  ]);
  return stdout;
}
