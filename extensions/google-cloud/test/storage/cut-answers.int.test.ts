import { randomUUID } from "node:crypto";
import { createMessage, isEventDriverError, isRevisionConflict, type Message } from "event-driver";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { type GcsEventStore, gcsEventStore } from "@event-driver/google-cloud/storage";

import { faultProxy } from "../../../../test/fault-proxy.ts";
import { services, suiteWith } from "../../../../test/services.ts";
import { hurried, newBucket, storageOn } from "./emulated-bucket.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

const suite = await suiteWith("gcs", "toxiproxy");

const keys = Array.from({ length: 200 }, (_, index) => `order-${index}`);

suite.each([true, false])("connections that break before the answer has come, with the client's retries %s", (autoRetry) => {
  test("of hundreds of inserts that two race for, no outcome is reported wrongly", async () => {
    const { direct, writers } = await racing(autoRetry);

    const outcomes = await race(writers, (store, message) => store.persist(message, { expected: "absent" }));

    await assertTrue(outcomes, direct);
    expect(outcomes.filter(({ result }) => result === "won").length).toBeGreaterThan(100);
  });

  test("of hundreds of overwrites that two race for, no outcome is reported wrongly", async () => {
    const { direct, writers } = await racing(autoRetry);
    const revisions = new Map(
      await Promise.all(keys.map(async (key): Promise<[string, string]> => [key, await direct.persist(order(key, "nobody"))])),
    );

    const outcomes = await race(writers, (store, message) => store.persist(message, { expected: revisions.get(message.key) ?? "" }));

    await assertTrue(outcomes, direct);
    expect(outcomes.filter(({ result }) => result === "won").length).toBeGreaterThan(100);
  });

  test("of hundreds of writes whose every answer is lost, each is recognised", async () => {
    const bucket = await newBucket();
    const proxy = await faultProxy({ upstream: services.gcs.url });
    onTestFinished(() => proxy.close());
    const names = new Set<string>();
    const cut = proxy.answer({ when: ({ method, path }) => method === "POST" && names.size < names.add(path).size, cut: "after" });
    const store = gcsEventStore({ bucket, storage: storageOn({ apiEndpoint: proxy.url, autoRetry }), clock: hurried });

    const inserted = await inParallel((key) => store.persist(order(key, "first"), { expected: "absent" }));
    const replaced = await inParallel((key, index) => store.persist(order(key, "second"), { expected: inserted[index] ?? "" }));

    expect(cut.hits).toBe(2 * keys.length);
    expect(new Set([...inserted, ...replaced]).size).toBe(2 * keys.length);
    for (const [index, key] of keys.entries()) expect((await store.lookUp(key, "orders"))?.revision).toBe(replaced[index]);
  });
});

interface Outcome {
  readonly key: string;
  readonly writer: string;
  readonly result: "won" | "conflict" | "unknown";
  readonly revision: string | undefined;
}

interface Racing {
  /** Sees the bucket as it is. */
  readonly direct: GcsEventStore;
  /** Half of the connections of these break at the first byte of the answer. */
  readonly writers: ReadonlyMap<string, GcsEventStore>;
}

async function racing(autoRetry: boolean): Promise<Racing> {
  const bucket = await newBucket();
  const apiEndpoint = await breakingProxy();
  const writers = ["a", "b"].map((name): [string, GcsEventStore] => {
    const storage = storageOn({ apiEndpoint, autoRetry });
    // A connection for each request: whether it breaks is decided when it is made.
    storage.interceptors.push({
      request: (options) => ({ uri: "uri" in options ? options.uri : options.url, ...options, forever: false }),
    });
    return [name, gcsEventStore({ bucket, storage, clock: hurried })];
  });
  return { direct: gcsEventStore({ bucket, apiEndpoint: services.gcs.url }), writers: new Map(writers) };
}

async function breakingProxy(): Promise<string> {
  const proxies = `${services.toxiproxy.url}/proxies`;
  const name = `gcs-${randomUUID()}`;
  const upstream = new URL(services.gcs.url).host;
  const made = await fetch(proxies, { method: "POST", body: JSON.stringify({ name, listen: "127.0.0.1:0", upstream, enabled: true }) });
  onTestFinished(async () => void (await fetch(`${proxies}/${name}`, { method: "DELETE" })));
  const toxic = { name: "cut", type: "limit_data", stream: "downstream", toxicity: 0.5, attributes: { bytes: 0 } };
  const added = await fetch(`${proxies}/${name}/toxics`, { method: "POST", body: JSON.stringify(toxic) });
  expect([made.status, added.status]).toEqual([201, 200]);
  const { listen }: { readonly listen?: string } = Object(await made.json());
  return `http://${listen}`;
}

async function race(
  writers: ReadonlyMap<string, GcsEventStore>,
  persist: (store: GcsEventStore, message: Message) => Promise<string>,
): Promise<readonly Outcome[]> {
  const outcomes = await inParallel((key) =>
    Promise.all(
      Array.from(writers, async ([writer, store]): Promise<Outcome> => {
        const [settled] = await Promise.allSettled([persist(store, order(key, writer))]);
        if (settled.status === "fulfilled") return { key, writer, result: "won", revision: settled.value };
        if (isRevisionConflict(settled.reason)) return { key, writer, result: "conflict", revision: undefined };
        if (!isEventDriverError(settled.reason) || settled.reason.code !== "ERR_STORE_UNAVAILABLE") throw settled.reason;
        return { key, writer, result: "unknown", revision: undefined };
      }),
    ),
  );
  return outcomes.flat();
}

/** Whoever has won is stored, whoever has met a conflict is not, and where both are sure one of them has won. */
async function assertTrue(outcomes: readonly Outcome[], direct: GcsEventStore): Promise<void> {
  const stored = new Map(await inParallel(async (key) => [key, await direct.lookUp(key, "orders")] as const));
  const untrue = outcomes.filter(({ key, writer, result, revision }) => {
    const found = stored.get(key);
    const isStored = found?.message.content === writer;
    return (result === "won" && !(isStored && found.revision === revision)) || (result === "conflict" && isStored);
  });
  const sure = keys
    .map((key) => outcomes.filter((outcome) => outcome.key === key).map(({ result }) => result))
    .filter((results) => !results.includes("unknown"));

  expect(untrue).toEqual([]);
  for (const results of sure) expect(results.toSorted()).toEqual(["conflict", "won"]);
}

function inParallel<Result>(work: (key: string, index: number) => Promise<Result>): Promise<readonly Result[]> {
  return Promise.all(keys.map(work));
}

function order(key: string, content: string): Message {
  return createMessage({ id: content, key, source: "orders", content });
}
