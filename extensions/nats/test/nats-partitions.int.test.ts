import type { NatsNative } from "@event-driver/nats";
import type { Connection } from "event-driver/streams";

import { natsConnection, type NatsConnectionOptions } from "@event-driver/nats";
import { createMessage, type Message } from "event-driver";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test, vi } from "vitest";

import { services, suiteWith } from "../../../test/services.ts";
import { type ToxicProxy, toxicProxy } from "../../../test/toxic-proxy.ts";
import { disorder, type Entry, workOn } from "./work-log.ts";

const suite = await suiteWith("nats", "toxiproxy");
const url = services.nats.url;
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

  const breaks = [
    ["cut off", (route: ToxicProxy) => route.cut()],
    ["met with silence", (route: ToxicProxy) => route.freeze()],
  ] as const;

  test.each(breaks)("one that is %s stops before another one begins, and goes on when it is back", async (_how, breaking) => {
    const world = await opened({ partitions: 4 });
    const route = await toxicProxy(url);
    onTestFinished(() => route.remove());
    const happened: string[] = [];
    const [first, second] = await Promise.all([
      connected({ url: route.url, stream: { partitions: 4 } }),
      connected({ url, stream: { partitions: 4 } }),
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
    const route = await toxicProxy(url);
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
  /** A member in this process. */
  readonly join: (member: string) => Promise<{ readonly close: () => Promise<void> }>;
  /** A member in a process of its own. */
  readonly spawn: (member: string) => Promise<{ readonly kill: () => Promise<void> }>;
}

async function opened({ partitions }: { readonly partitions: number }): Promise<World> {
  const [stream, log] = [randomUUID(), randomUUID()];
  const [journal, publisher] = await Promise.all([connected({ url }), connected({ url, stream: { partitions } })]);
  const entries: Entry[] = [];
  await journal.subscribe(log, async (_ctx, { content }) => void entries.push(JSON.parse(String(content))), { concurrency: 1 });
  // So that what is published before the first member has come is not missed.
  await (await publisher.subscribe(stream, async () => {})).close();
  let rounds = 0;
  const ended = (): number => new Set(entries.filter(({ what }) => what === "ends").map(({ key, id }) => `${key} ${id}`)).size;
  const published = (): number => 12 * rounds;

  return {
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

/** An id is unique within its stream: the broker takes none twice. */
function message(key: string, id: string): Message<string> {
  return createMessage({ id, key, origin: key, source: "shop", content: "x" });
}
