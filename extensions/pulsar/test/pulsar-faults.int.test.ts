import type { Message } from "event-driver";
import type { Connection } from "event-driver/streams";

import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { pulsarConnection } from "@event-driver/pulsar";
import { createMessage } from "event-driver";
import { afterAll, afterEach, expect, onTestFinished, test, vi } from "vitest";

import { ownBroker } from "../../../test/broker-process.ts";
import { services, suiteWith } from "../../../test/services.ts";
import { pulsarBench } from "./pulsar-bench.ts";

const suite = await suiteWith("pulsar", "toxiproxy");
const patience = { timeout: 60_000, interval: 20 };

suite("a connection to Pulsar", () => {
  const bench = pulsarBench();
  const opened: Connection[] = [];
  afterEach(async () => {
    for (const connection of opened.splice(0)) await connection.close({ limit: 0 });
  });
  afterAll(() => bench.end());

  const open: typeof bench.open = async (options) => {
    const connection = await bench.open(options);
    opened.push(connection);
    return connection;
  };

  test(
    "nothing is lost when the broker is killed while messages are published and handled, and comes back",
    { timeout: 180_000 },
    async () => {
      const broker = await ownBroker("pulsar");
      onTestFinished(() => broker.stop());
      const connection = await pulsarConnection({ url: broker.url, heartbeat: 1_000 });
      opened.push(connection);
      const handled = new Set<string>();
      const states: string[] = [];
      connection.on("state", ({ state }) => states.push(state));
      await connection.subscribe("orders", async (_ctx, { id }) => void handled.add(id));
      const publishing: Promise<string>[] = [];
      const publish = (count: number): void => {
        for (let index = 0; index < count; index += 1) publishing.push(connection.publish("orders", order(publishing.length)));
      };

      publish(500);
      await vi.waitFor(() => expect(handled.size).toBeGreaterThan(0), patience);
      publish(500);
      await broker.kill();
      publish(500);
      await broker.restart();
      const published = await Promise.all(publishing);

      await vi.waitFor(() => expect(handled.size).toBe(1_500), { ...patience, timeout: 120_000 });
      expect(published).toEqual(Array.from({ length: 1_500 }, (_, index) => String(index)));
      expect(states).toContain("reconnecting");
      expect(states.at(-1)).toBe("connected");
    },
  );

  test("what is cut off in the middle of being published is published once the way is mended, in the order of each key", async () => {
    const stream = randomUUID();
    const [publisher, subscriber] = [await open(), await open()];
    const handled: Message[] = [];
    await subscriber.subscribe(stream, async (_ctx, message) => void handled.push(message));
    await publisher.publish(stream, order(0));

    const publishing = publisher.publishBatch(
      stream,
      Array.from({ length: 3_000 }, (_, index) => order(index + 1)),
    );
    await vi.waitFor(() => expect(handled.length).toBeGreaterThan(100), patience);
    await bench.wayOf(publisher).cut();
    await vi.waitFor(() => expect(publisher.status().state).toBe("reconnecting"), patience);
    await bench.wayOf(publisher).mend();

    expect((await publishing).filter(({ status }) => status === "failed")).toEqual([]);
    await vi.waitFor(() => expect(new Set(handled.map(({ id }) => id)).size).toBe(3_001), patience);
    expectEachKeyInOrder(handled);
  });

  test("no message overtakes another one of its key when a subscriber is gone without a word and others take over its keys", async () => {
    const stream = randomUUID();
    const [publisher, first, ...others] = [await open(), await open(), await open(), await open()];
    const begun: Message[] = [];
    const byFirst = new Set<string>();
    const handle = async (message: Message): Promise<void> => {
      begun.push(message);
      await new Promise((resolve) => setImmediate(resolve));
    };
    await first.subscribe(stream, async (_ctx, message) => {
      byFirst.add(message.id);
      await handle(message);
    });
    for (const other of others) await other.subscribe(stream, (_ctx, message) => handle(message));

    const publishing = publisher.publishBatch(
      stream,
      Array.from({ length: 3_000 }, (_, index) => order(index)),
    );
    await vi.waitFor(() => expect(byFirst.size).toBeGreaterThan(50), patience);
    await bench.wayOf(first).cut();
    await publishing;
    await vi.waitFor(() => expect(new Set(begun.map(({ id }) => id)).size).toBe(3_000), patience);

    expectEachKeyInOrder(begun);
  });

  test("a way that swallows everything and closes nothing is noticed by its silence", async () => {
    const stream = randomUUID();
    const [connection, publisher] = [await open({ heartbeat: 200 }), await open()];
    const handled: string[] = [];
    const aborted: string[] = [];
    await connection.subscribe(stream, async (ctx, { id }) => {
      handled.push(id);
      ctx.signal.addEventListener("abort", () => aborted.push(id));
      if (handled.length === 1) await once(ctx.signal, "abort");
    });
    await publisher.publish(stream, order(1));
    await vi.waitFor(() => expect(handled).toEqual(["1"]), patience);

    await bench.wayOf(connection).freeze();
    await vi.waitFor(() => expect(connection.status().state).toBe("reconnecting"), patience);

    expect(aborted).toEqual(["1"]);
    await connection.close({ limit: 0 });
  });

  test("a process that is killed between the end of its handler and the acknowledgement leaves the message to the next", async () => {
    const stream = randomUUID();
    const publisher = await open();
    await publisher.publish(stream, order(1));

    const first = worker("die", stream);
    const [, killedBy] = await once(first.process, "exit");
    const second = worker("work", stream);
    await vi.waitFor(() => expect(second.lines()).toEqual(["1"]), patience);

    expect([killedBy, first.lines()]).toEqual(["SIGKILL", ["1"]]);
    second.process.kill("SIGKILL");
  });

  test("a process ends by itself after close", async () => {
    const leaving = worker("leave", randomUUID());

    const [code] = await once(leaving.process, "exit");

    expect([code, leaving.lines().at(-1)]).toEqual([0, "closed"]);
  });

  test("ten thousand messages wait at the broker while a slow handler works on as many as it may have", async () => {
    const stream = randomUUID();
    const [publisher, subscriber] = [await open(), await open()];
    const handled = new Set<string>();
    let most = 0;
    const subscription = await subscriber.subscribe(
      stream,
      async (_ctx, { id }) => {
        most = Math.max(most, subscriber.status().subscriptions[0]?.inFlight ?? 0);
        await new Promise((resolve) => setImmediate(resolve));
        handled.add(id);
      },
      { maxInFlight: 100, concurrency: 4 },
    );

    for (let batch = 0; batch < 10; batch += 1)
      await publisher.publishBatch(
        stream,
        Array.from({ length: 1_000 }, (_, index) => order(batch * 1_000 + index)),
      );
    await vi.waitFor(() => expect(handled.size).toBe(10_000), patience);

    expect(most).toBeLessThanOrEqual(100);
    expect(most).toBeGreaterThan(50);
    await subscription.close();
  });

  test("close under load does what was begun and loses none of the rest, while others go on publishing", async () => {
    const stream = randomUUID();
    const [publisher, subscriber, next] = [await open(), await open(), await open()];
    const done: string[] = [];
    await subscriber.subscribe(stream, async (_ctx, { id }) => {
      await new Promise((resolve) => setImmediate(resolve));
      done.push(id);
    });
    const publishing = publisher.publishBatch(
      stream,
      Array.from({ length: 2_000 }, (_, index) => order(index)),
    );
    await vi.waitFor(() => expect(done.length).toBeGreaterThan(50), patience);

    await subscriber.close();
    const doneAtClose = done.length;
    await publishing;
    await next.subscribe(stream, async (_ctx, { id }) => void done.push(id));
    await vi.waitFor(() => expect(new Set(done).size).toBe(2_000), patience);

    expect(doneAtClose).toBeLessThan(2_000);
    expect(done).toHaveLength(2_000);
  });
});

function order(number: number): Message {
  return createMessage({ id: String(number), key: `order-${number % 20}`, source: "shop", content: "x".repeat(1_024) });
}

/** What came twice counts where it came first. */
function expectEachKeyInOrder(messages: readonly Message[]): void {
  for (const ofKey of Map.groupBy(messages, ({ key }) => key).values()) {
    const firsts = [...new Set(ofKey.map(({ id }) => Number(id)))];
    expect(firsts).toEqual(firsts.toSorted((one, other) => one - other));
  }
}

function worker(task: string, stream: string): { readonly process: ChildProcess; readonly lines: () => readonly string[] } {
  const script = fileURLToPath(new URL("children/worker.ts", import.meta.url));
  const child = spawn(process.execPath, ["-C", "@event-driver/source", script, task, services.pulsar.url, stream], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  onTestFinished(() => void child.kill("SIGKILL"));
  return { process: child, lines: () => output.split("\n").filter((line) => line !== "") };
}
