import type { NatsNative } from "@event-driver/nats";
import type { Connection } from "event-driver/streams";

import { natsConnection, type NatsConnectionOptions } from "@event-driver/nats";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect, createInbox } from "@nats-io/transport-node";
import { createMessage, type Message } from "event-driver";
import { partitionOf } from "event-driver/streams";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test, vi } from "vitest";

import { ownBroker } from "../../../test/broker-process.ts";
import { services, suiteWith } from "../../../test/services.ts";
import { type ToxicProxy, toxicProxy } from "../../../test/toxic-proxy.ts";
import { disorder, type Entry, workOn } from "./work-log.ts";

const suite = await suiteWith("nats", "toxiproxy");
const sharedUrl = services.nats.url;
const patience = { timeout: 50_000, interval: 10 };

suite("members of a name whose stream has partitions", () => {
  test("keep every key in order while they come and go, all of them work, and nothing is lost or done twice", async () => {
    const world = await opened({ partitions: 6 });
    const first = await world.join("first");
    await world.publishUntil(() => world.worked().has("first"));

    const second = await world.join("second");
    await world.join("third");
    await world.publishUntil(() => world.worked().size === 3);
    await second.close();
    await world.publishUntil(() => world.entriesOf("third").length > 1_000);
    await first.close();
    await world.join("fourth");
    await world.publishUntil(() => world.worked().size === 4);
    await world.allDone();

    expect(disorder(world.entries)).toEqual([]);
    expect(world.entries.filter(({ what }) => what === "ends").length).toBe(world.published());
  });

  test("keep every key in order when some are killed in the middle of their work, and nothing is lost", async () => {
    const world = await opened({ partitions: 6 });
    const [first, second] = await Promise.all([world.spawn("first"), world.spawn("second")]);
    await world.join("third");
    await world.publishUntil(() => world.worked().size === 3);

    await first.kill();
    await world.publishUntil(() => world.entriesOf("third").length > 1_000);
    await second.kill();
    await world.join("fourth");
    await world.publishUntil(() => world.worked().has("fourth"));
    await world.allDone();

    expect(disorder(world.entries, new Set(["first", "second"]))).toEqual([]);
  });

  test("keep every key in order when the broker is killed and started again, and nothing is lost", async () => {
    const broker = await ownBroker("nats");
    onTestFinished(() => broker.stop());
    const world = await opened({ partitions: 6, url: broker.url });
    await world.join("first");
    await world.join("second");
    await world.publishUntil(() => world.worked().size === 2);

    for (const member of ["first", "second"]) {
      const before = world.entriesOf(member).length;
      await broker.kill();
      await broker.restart();
      await world.publishUntil(() => world.entriesOf(member).length > before + 200);
    }
    await world.allDone();

    expect(disorder(world.entries)).toEqual([]);
  });

  test("one that has to give something up finishes what it has begun of it before another one begins", async () => {
    const world = await opened({ partitions: 2 });
    const [first, second] = await Promise.all([connected(world.options), connected(world.options)]);
    const { promise: opening, resolve: open } = Promise.withResolvers<void>();
    const happened: string[] = [];
    await first.subscribe(world.stream, async ({ signal }, { key, id }) => {
      happened.push(`first begins ${key} ${id}`);
      await opening;
      happened.push(`first ${signal.aborted ? "stops" : "ends"} ${key} ${id}`);
    });
    const keys = [0, 1].map((partition) => keyOf(partition, 2));
    for (const key of keys) for (const id of ["0", "1"]) await second.publish(world.stream, message(key, id));
    await vi.waitFor(() => expect(happened.length).toBe(2), patience);

    const other = await second.subscribe(world.stream, async (_ctx, { key, id }) => void happened.push(`second begins ${key} ${id}`));
    const gained = Promise.withResolvers<readonly string[]>();
    second.on("rebalance", (change) => gained.resolve(change.gained));
    await world.looks(2);
    expect(happened.length).toBe(2);
    open();
    await vi.waitFor(() => expect(happened.length).toBe(8), patience);
    await gained.promise;
    for (const key of keys) await second.publish(world.stream, message(key, "2"));
    await vi.waitFor(() => expect(happened.filter((what) => what.includes("begins")).length).toBe(6), patience);
    await other.close();

    for (const key of keys)
      expect(happened.filter((what) => what.includes(key)).slice(0, 4)).toEqual([
        `first begins ${key} 0`,
        `first ends ${key} 0`,
        `first begins ${key} 1`,
        `first ends ${key} 1`,
      ]);
    expect(happened.filter((what) => what.startsWith("second begins")).length).toBe(1);
  });

  test("a message that somebody else has asked for, and who does not settle it, comes before what follows it", async () => {
    const world = await opened({ partitions: 2 });
    const connection = await connected(world.options);
    const ids: string[] = [];
    await connection.subscribe(world.stream, async (_ctx, { id }) => void ids.push(id));
    await connection.publish(world.stream, message(keyOf(0, 2), "0"));
    await vi.waitFor(() => expect(ids).toEqual(["0"]), patience);

    const stolen = await world.steal(0, 3);
    for (let id = 1; id <= 20; id += 1) await connection.publish(world.stream, message(keyOf(0, 2), String(id)));
    await vi.waitFor(() => expect(ids).toContain("20"), patience);

    expect(stolen()).toBeGreaterThan(0);
    expect(ids).toEqual(Array.from({ length: 21 }, (_, id) => String(id)));
  });

  const breaks = [
    ["cut off", (route: ToxicProxy) => route.cut()],
    ["met with silence", (route: ToxicProxy) => route.freeze()],
  ] as const;

  test.each(breaks)("one that is %s stops before another one begins, and goes on when it is back", async (_how, breaking) => {
    const world = await opened({ partitions: 4 });
    const route = await toxicProxy(sharedUrl);
    onTestFinished(() => route.remove());
    const happened: string[] = [];
    const [first, second] = await Promise.all([
      connected({ url: route.url, stream: { partitions: 4 } }),
      connected({ url: sharedUrl, stream: { partitions: 4 } }),
    ]);
    await first.subscribe(world.stream, async ({ signal }) => {
      happened.push("first begins");
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      happened.push("first stops");
      signal.throwIfAborted();
    });
    await second.publish(world.stream, message("order-1", "0"));
    await vi.waitFor(() => expect(happened).toEqual(["first begins"]), patience);

    await breaking(route);
    await second.subscribe(world.stream, async () => void happened.push("second begins"));
    await vi.waitFor(() => expect(happened).toContain("second begins"), patience);
    await route.mend();

    expect(happened).toEqual(["first begins", "first stops", "second begins"]);
    const regained: string[] = [];
    first.on("rebalance", ({ gained }) => regained.push(...gained));
    await vi.waitFor(() => expect(regained.length).toBe(2), patience);
  });

  test("one that is back before its time is over keeps what it has", async () => {
    const world = await opened({ partitions: 4 });
    const route = await toxicProxy(sharedUrl);
    onTestFinished(() => route.remove());
    const connection = await connected({ url: route.url, stream: { partitions: 4 } });
    const changes: unknown[] = [];
    await workOn({ member: "first", connection, journal: world.journal, stream: world.stream, log: world.log });
    connection.on("rebalance", (change) => changes.push(change));
    await world.publishUntil(() => world.worked().has("first"));

    await route.cut();
    await route.mend();
    await world.publishUntil(() => world.entriesOf("first").length > 1_000);
    await world.allDone();

    expect(changes).toEqual([]);
    expect(disorder(world.entries)).toEqual([]);
  });
});

interface World {
  readonly options: NatsConnectionOptions;
  readonly stream: string;
  readonly log: string;
  readonly journal: Connection<NatsNative>;
  /** What has been done, as far as is known. */
  readonly entries: readonly Entry[];
  readonly entriesOf: (member: string) => readonly Entry[];
  /** Who has ended something. */
  readonly worked: () => ReadonlySet<string>;
  /** How many messages there are. */
  readonly published: () => number;
  /** Publishes messages of 12 keys, never many more than have been done, until something is so. */
  readonly publishUntil: (isSo: () => boolean) => Promise<void>;
  /** Resolves when every message has ended at least once. */
  readonly allDone: () => Promise<void>;
  /** Resolves when every member has had the time to look so many times whether it has its share. */
  readonly looks: (times: number) => Promise<void>;
  /** Asks for messages of a partition past its member, and settles none of them. Says how many came. */
  readonly steal: (partition: number, count: number) => Promise<() => number>;
  /** A member in this process. */
  readonly join: (member: string) => Promise<{ readonly close: () => Promise<void> }>;
  /** A member in a process of its own. */
  readonly spawn: (member: string) => Promise<{ readonly kill: () => Promise<void> }>;
}

/** The work is at a broker of its own where that is given; what has been done is told to the shared one. */
async function opened({ partitions, url = sharedUrl }: { readonly partitions: number; readonly url?: string }): Promise<World> {
  const [stream, log] = [randomUUID(), randomUUID()];
  const [journal, publisher] = await Promise.all([connected({ url: sharedUrl }), connected({ url, stream: { partitions } })]);
  const entries: Entry[] = [];
  await journal.subscribe(log, async (_ctx, { content }) => void entries.push(JSON.parse(String(content))), { concurrency: 1 });
  // So that what is published before the first member has come is not missed.
  await (await publisher.subscribe(stream, async () => {})).close();
  let rounds = 0;
  const ended = (): number => new Set(entries.filter(({ what }) => what === "ends").map(({ key, id }) => `${key} ${id}`)).size;
  const published = (): number => 12 * rounds;

  return {
    options: { url, stream: { partitions } },
    stream,
    log,
    journal,
    entries,
    entriesOf: (member) => entries.filter((entry) => entry.member === member),
    worked: () => new Set(entries.filter(({ what }) => what === "ends").map(({ member }) => member)),
    published,
    async publishUntil(isSo) {
      while (!isSo()) {
        const messages = Array.from({ length: 12 }, (_, key) => message(`order-${key}`, String(rounds)));
        rounds += 1;
        const settlements = await publisher.publishBatch(stream, messages);
        expect(settlements.every(({ status }) => status === "published")).toBe(true);
        await vi.waitUntil(() => isSo() || published() - ended() < 240, patience);
      }
    },
    allDone: async () => void (await vi.waitUntil(() => ended() === published(), patience)),
    async looks(times) {
      const client = await connect({ servers: url });
      const { streams } = await jetstreamManager(client);
      // A member looks every second, and renews its lease in two and a half: each renewal is a message.
      const subject = `event-driver.leases.${stream}.${stream}.member.*`;
      const renewed = async (): Promise<number> => (await streams.getMessage("event-driver-leases", { last_by_subj: subject }))?.seq ?? 0;
      for (let time = 0; time < times; time += 1) {
        const before = await renewed();
        await vi.waitFor(async () => expect(await renewed()).toBeGreaterThan(before), patience);
      }
      await client.close();
    },
    async steal(partition, count) {
      const client = await connect({ servers: url });
      onTestFinished(() => client.close());
      const inbox = createInbox();
      let came = 0;
      client.subscribe(inbox, { callback: (_error, { reply }) => void (came += reply === undefined || reply === "" ? 0 : 1) });
      const body = JSON.stringify({ batch: count, expires: 30_000_000_000 });
      client.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${stream}-p${partition}`, body, { reply: inbox });
      await client.flush();
      return () => came;
    },
    async join(member) {
      const connection = await connected({ url, stream: { partitions } });
      await workOn({ member, connection, journal, stream, log });
      return { close: () => connection.close() };
    },
    spawn: (member) => spawned([member, url, stream, log, String(partitions)]),
  };
}

const script = fileURLToPath(new URL("./children/partition-worker.ts", import.meta.url));

async function spawned(args: readonly string[]): Promise<{ readonly kill: () => Promise<void> }> {
  const child = spawn(process.execPath, ["-C", "@event-driver/source", script, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
  };
  onTestFinished(kill);
  await Promise.race([once(createInterface({ input: child.stdout }), "line"), ended]);
  return { kill };
}

async function connected(options: NatsConnectionOptions): Promise<Connection<NatsNative>> {
  const connection = await natsConnection(options);
  onTestFinished(() => connection.close({ limit: 1_000 }));
  return connection;
}

/** A key whose messages are in a partition. */
function keyOf(partition: number, count: number): string {
  let number = 0;
  while (partitionOf(`order-${number}`, count) !== partition) number += 1;
  return `order-${number}`;
}

/** An id is unique within its stream: the broker takes none twice. */
function message(key: string, id: string): Message<string> {
  return createMessage({ id, key, origin: key, source: "shop", content: "x" });
}
