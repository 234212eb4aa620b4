import { createContext, createMessage, idempotency, type Message, pipeline } from "event-driver";
import { virtualClock, type VirtualClock } from "event-driver/testing";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { type GcsEventStore, gcsEventStore } from "@event-driver/google-cloud/storage";

import { type ActiveRule, type FaultProxy, faultProxy, type ProxiedRequest } from "../../../../test/fault-proxy.ts";
import { services, suiteWith } from "../../../../test/services.ts";
import { advanceUntil, newBucket } from "./emulated-bucket.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

const suite = await suiteWith("gcs");

suite("a service that takes one write a second of each object", () => {
  test("a claim that is completed at once is kept within its lease, one second and one request later", async () => {
    const { clock, proxy, limit, store } = await limited();
    const effects: number[] = [];
    const payments = pipeline()
      .use(idempotency({ store, lease: 10_000 }))
      .use(async () => void effects.push(clock.now()));

    const processed = payments.process(createContext({ clock }), payment("p-1"));
    await vi.waitUntil(() => limit.hits === 1 && effects.length === 1);
    await advanceUntil(clock, processed);

    expect(clock.now()).toBeLessThanOrEqual(1_200);
    expect(proxy.requests.filter(({ method }) => method === "POST").length).toBe(3);
    await clock.advance(1_000);
    await payments.process(createContext({ clock }), payment("p-1"));
    expect(effects).toEqual([0]);
  });

  test("other keys are not held up", async () => {
    const { clock, limit, store } = await limited();
    const done: string[] = [];
    const payments = pipeline()
      .use(idempotency({ store }))
      .use(async (_ctx, { id }) => void done.push(id));

    const all = Promise.all(Array.from({ length: 20 }, (_, index) => payments.process(createContext({ clock }), payment(`p-${index}`))));
    await vi.waitUntil(() => done.length === 20 && limit.hits === 20);
    await advanceUntil(clock, all);

    expect(clock.now()).toBeLessThanOrEqual(1_200);
    expect(limit.hits).toBe(20);
  });

  test("an object that many write at once is written by all of them in the end", async () => {
    const { clock, store } = await limited();

    const all = Promise.all(Array.from({ length: 5 }, (_, index) => store.persist(payment(`p-${index}`))));
    await advanceUntil(clock, all);

    expect(new Set(await all).size).toBe(5);
  });

  test("a signal ends the wait", async () => {
    const { limit, store } = await limited();
    const revision = await store.persist(payment("p-1"));
    const controller = new AbortController();
    const reason = new Error("given up");

    const second = store.persist(payment("p-1"), { expected: revision, signal: controller.signal });
    await vi.waitUntil(() => limit.hits === 1);
    controller.abort(reason);

    await expect(second).rejects.toBe(reason);
  });
});

interface Limited {
  readonly clock: VirtualClock;
  readonly proxy: FaultProxy;
  readonly limit: ActiveRule;
  readonly store: GcsEventStore;
}

async function limited(): Promise<Limited> {
  const clock = virtualClock();
  const proxy = await faultProxy({ upstream: services.gcs.url, clock });
  onTestFinished(() => proxy.close());
  const limit = proxy.answer({ key: nameWritten, interval: 1_000 });
  return { clock, proxy, limit, store: gcsEventStore({ bucket: await newBucket(), apiEndpoint: proxy.url, clock }) };
}

function nameWritten({ method, path }: ProxiedRequest): string | undefined {
  return method === "POST" ? (new URL(path, services.gcs.url).searchParams.get("name") ?? undefined) : undefined;
}

function payment(id: string): Message {
  return createMessage({ id, key: "account-1", source: "payments", content: "{}" });
}
