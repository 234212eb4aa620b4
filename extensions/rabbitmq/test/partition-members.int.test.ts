import type { RabbitmqNative } from "@event-driver/rabbitmq";
import type { Connection } from "event-driver/streams";

import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";

import { ownBroker } from "../../../test/broker-process.ts";
import { services, suiteWith } from "../../../test/services.ts";
import { toxicProxy } from "../../../test/toxic-proxy.ts";
import { asked, collector, connected, order, orders, until } from "./connected.ts";
import { journalOf, keepingJournal, type Line, numbered, violations } from "./work-journal.ts";

const suite = await suiteWith("rabbitmq", "toxiproxy");

/** Milliseconds in which members look for their share: some rounds of it. */
const rounds = 3_000;

suite("members of a name with partitions", () => {
  test("have the same number of partitions each, or one more, and are told of each that comes and goes", async () => {
    const stream = crypto.randomUUID();
    const [one, other, third] = [await member(), await member(), await member()];

    const first = await one.connection.subscribe(stream, collector().handle);
    await other.connection.subscribe(stream, collector().handle);
    await until(() => expect(sizes(one, other)).toEqual([2, 2]));
    await third.connection.subscribe(stream, collector().handle);
    await until(() => expect(sizes(one, other, third)).toEqual([1, 1, 2]));
    expect([...one.has, ...other.has, ...third.has].toSorted()).toEqual(["0", "1", "2", "3"]);
    await first.close();

    await until(() => expect(sizes(other, third)).toEqual([2, 2]));
  });

  test("of one connection have partitions of their own, too", async () => {
    const [{ connection }, stream, busy] = [await member(), crypto.randomUUID(), new Set<string>()];
    const workers = new Set<string>();
    const problems: string[] = [];
    const handle =
      (worker: string) =>
      async (_ctx: unknown, { key }: { readonly key: string }) => {
        workers.add(worker);
        if (busy.has(key)) problems.push(`${key} is worked on twice`);
        busy.add(key);
        await setTimeout(1);
        busy.delete(key);
      };
    await connection.subscribe(stream, handle("one"));
    await connection.subscribe(stream, handle("other"));

    await until(async () => {
      await connection.publishBatch(stream, orders(40, 20));
      expect(workers).toEqual(new Set(["one", "other"]));
    });

    expect(problems).toEqual([]);
  });

  test("beyond the number of partitions stand by", async () => {
    const stream = crypto.randomUUID();
    const members = [await member(), await member(), await member(), await member(), await member()];

    for (const { connection } of members) await connection.subscribe(stream, collector().handle);

    await until(() => expect(sizes(...members).toSorted((one, other) => one - other)).toEqual([0, 1, 1, 1, 1]));
  });

  test("finish what they have begun of a partition before another one begins with it", async () => {
    const stream = crypto.randomUUID();
    const [one, other] = [await member(), await member()];
    const gate = Promise.withResolvers<void>();
    const log: string[] = [];
    await one.connection.subscribe(stream, async (_ctx, { id }) => {
      log.push(`one begins ${id}`);
      await gate.promise;
      log.push(`one ends ${id}`);
    });
    for (const message of orders(20, 20)) await one.connection.publish(stream, message);
    await until(() => expect(log.length).toBe(16));

    await other.connection.subscribe(stream, async (_ctx, { id }) => void log.push(`other begins ${id}`));
    await setTimeout(rounds);
    expect(log.filter((line) => line.startsWith("other"))).toEqual([]);
    gate.resolve();
    await until(() => expect(other.has.size).toBe(2));
    await other.connection.publishBatch(stream, orders(20, 20));

    await until(() => expect(log.filter((line) => line.startsWith("other")).length).toBeGreaterThan(0));
    expect(log.filter((line) => line.startsWith("one ends")).length).toBeGreaterThanOrEqual(20);
  });

  test("keep each key in order while they come and go, and lose nothing", { timeout: 120_000 }, async () => {
    const work = await working();
    const [one, two] = [await work.join("one"), await work.join("two")];

    await work.publishFor(rounds);
    const three = await work.join("three");
    await work.publishFor(rounds);
    await one.close();
    await work.join("four");
    await work.publishFor(rounds);
    await Promise.all([two.close(), three.close()]);
    await work.allDone();

    expect(violations(work.journal)).toEqual([]);
    expect(work.members()).toEqual(new Set(["one", "two", "three", "four"]));
    expect(work.journal.filter(({ what }) => what === "has done").length).toBe(work.published());
  });

  test("keep each key in order when one of them is killed, and lose nothing", { timeout: 120_000 }, async () => {
    const work = await working();
    const [first, second] = [work.spawn("first"), work.spawn("second")];
    await work.join("third");
    await work.publishUntil(() => work.members().size === 3);

    await first.kill();
    await work.publishFor(rounds);
    await second.kill();
    await work.publishFor(rounds);
    await work.allDone();

    expect(violations(work.journal, (name) => name === "first" || name === "second")).toEqual([]);
  });

  test("whose connection is cut and comes back have their share again, and nothing is lost", { timeout: 120_000 }, async () => {
    const proxy = await toxicProxy(services.rabbitmq.url);
    onTestFinished(() => proxy.remove());
    const stream = crypto.randomUUID();
    const [staying, cut] = [await member(), await member(proxy.url)];
    const done = new Set<string>();
    const handle = async (_ctx: unknown, { id }: { readonly id: string }): Promise<void> => void done.add(id);
    await staying.connection.subscribe(stream, handle);
    await cut.connection.subscribe(stream, handle);
    await until(() => expect(sizes(staying, cut)).toEqual([2, 2]));

    await proxy.cut();
    await until(() => expect(sizes(staying, cut)).toEqual([4, 0]));
    await staying.connection.publishBatch(stream, orders(100, 20));
    await proxy.mend();
    await until(() => expect(sizes(staying, cut)).toEqual([2, 2]));
    await staying.connection.publish(stream, order("last"));

    await until(() => expect(done.size).toBe(101));
  });
});

suite("a member that leaves while the broker is out of reach", () => {
  test("is not counted when it is within reach again, and the others have all partitions", async () => {
    const proxy = await toxicProxy(services.rabbitmq.url);
    onTestFinished(() => proxy.remove());
    const [staying, leaving, stream] = [await member(), await member(proxy.url), crypto.randomUUID()];
    const subscription = await leaving.connection.subscribe(stream, collector().handle);
    await staying.connection.subscribe(stream, collector().handle);
    await until(() => expect(sizes(staying, leaving)).toEqual([2, 2]));

    await proxy.cut();
    await until(() => expect(leaving.connection.status().state).toBe("reconnecting"));
    await setTimeout(rounds);
    await subscription.close();
    await proxy.mend();
    await until(() => expect(leaving.connection.status().state).toBe("connected"));
    await setTimeout(rounds);

    await until(() => expect(sizes(staying)).toEqual([4]));
    expect(await asked((channel) => channel.queueDeclare({ queue: `${stream}~members`, passive: true }))).toMatchObject({
      consumerCount: 1,
    });
  });

  test("does not wait for it, and says that what it had stays there", async () => {
    const proxy = await toxicProxy(services.rabbitmq.url);
    onTestFinished(() => proxy.remove());
    const [{ connection }, stream] = [await member(proxy.url), crypto.randomUUID()];
    const subscription = await connection.subscribe(stream, collector().handle);
    await proxy.cut();
    await until(() => expect(connection.status().state).toBe("reconnecting"));
    // Some looks at its share, which nobody answers.
    await setTimeout(rounds);

    await expect(subscription.unsubscribe()).rejects.toMatchObject({ code: "ERR_TOPOLOGY", message: expect.stringContaining(stream) });
  });
});

suite("a broker that dies", () => {
  test("has the members share the partitions again when it is back, and nothing is lost", { timeout: 240_000 }, async () => {
    const broker = await ownBroker("rabbitmq");
    onTestFinished(() => broker.stop());
    const [one, other, stream] = [await member(broker.url), await member(broker.url), crypto.randomUUID()];
    const { ids, handle } = collector();
    await one.connection.subscribe(stream, handle);
    await other.connection.subscribe(stream, handle);
    await until(() => expect(sizes(one, other)).toEqual([2, 2]));
    // A quorum queue that is younger than this may be lost by the broker itself.
    await setTimeout(rounds);
    const settlements = await one.connection.publishBatch(stream, orders(200, 40));

    await broker.kill();
    await broker.restart();
    await until(() => expect(sizes(one, other)).toEqual([2, 2]), 120_000);
    await one.connection.publish(stream, order("afterwards"));

    const published = settlements.flatMap((settlement) => (settlement.status === "published" ? [settlement.id] : []));
    await until(() => expect([...published, "afterwards"].filter((id) => !ids.includes(id))).toEqual([]), 120_000);
    expect(published.length).toBe(200);
  });
});

interface Member {
  readonly connection: Connection<RabbitmqNative>;
  /** The partitions that it was told it has. */
  readonly has: ReadonlySet<string>;
}

async function member(url: string = services.rabbitmq.url): Promise<Member> {
  const connection = await connected({ url, partitions: 4, clientOptions: { retryHigh: 500 } });
  const has = new Set<string>();
  connection.on("rebalance", ({ gained, lost }) => {
    for (const partition of lost) has.delete(partition);
    for (const partition of gained) has.add(partition);
  });
  return { connection, has };
}

function sizes(...members: readonly Member[]): readonly number[] {
  return members.map(({ has }) => has.size);
}

/** A stream, its journal, and what happens to it. */
async function working() {
  const [stream, writer] = [crypto.randomUUID(), await connected()];
  const journal: Line[] = [];
  await writer.subscribe(journalOf(stream), async (_ctx, { content }) => void journal.push(JSON.parse(String(content))), {
    concurrency: 1,
  });
  const counts = new Map<string, number>();
  const publishRound = async (): Promise<void> => {
    const messages = Array.from({ length: 12 }, (_, index) => {
      const key = `order-${index}`;
      const number = counts.get(key) ?? 0;
      counts.set(key, number + 1);
      return numbered(key, number);
    });
    await writer.publishBatch(stream, messages);
    await setTimeout(10);
  };
  const publishUntil = async (isEnough: () => boolean): Promise<void> => {
    while (!isEnough()) await publishRound();
  };
  const published = (): number => [...counts.values()].reduce((sum, count) => sum + count, 0);
  return {
    journal,
    published,
    publishUntil,
    members: () => new Set(journal.map((line) => line.member)),
    async publishFor(milliseconds: number): Promise<void> {
      const end = performance.now() + milliseconds;
      await publishUntil(() => performance.now() > end);
    },
    async join(name: string) {
      const worker = await connected({ partitions: 4 });
      return keepingJournal(name, { worker, writer }, stream);
    },
    spawn(name: string): { readonly kill: () => Promise<void> } {
      const file = fileURLToPath(new URL("./children/work-on-partitions.ts", import.meta.url));
      const child = spawn(
        process.execPath,
        ["-C", "@event-driver/source", "--disable-warning=ExperimentalWarning", file, services.rabbitmq.url, stream, name],
        { stdio: ["ignore", "ignore", "inherit"] },
      );
      const ended = once(child, "exit");
      const kill = async (): Promise<void> => {
        child.kill("SIGKILL");
        await ended;
      };
      onTestFinished(kill);
      return { kill };
    },
    async allDone(): Promise<void> {
      const done = (): number =>
        new Set(journal.filter(({ what }) => what === "has done").map(({ key, number }) => `${key}/${number}`)).size;
      await until(() => expect(done()).toBe(published()), 60_000);
    },
  };
}
