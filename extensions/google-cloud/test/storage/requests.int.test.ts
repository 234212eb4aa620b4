import {
  createContext,
  createMessage,
  eraseContentFromSources,
  type EventStore,
  idempotency,
  joiner,
  type JoinWindow,
  matchAll,
  type Message,
  pipeline,
  type Processor,
  transformer,
} from "event-driver";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { type GcsEventStore, gcsEventStore } from "@event-driver/google-cloud/storage";

import { type FaultProxy, faultProxy } from "../../../../test/fault-proxy.ts";
import { suiteWith } from "../../../../test/services.ts";
import { newBucket } from "./emulated-bucket.ts";
import { strictService, trustingStorageOn } from "./strict-service.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

const suite = await suiteWith("gcs");

/** Each number is in the documentation. */
suite("what the tutorial's pipeline asks of the service", () => {
  test("an event that completes no join: 2 requests, and 3 when it is repeated", async () => {
    const { requestsOf, orders } = await tutorial();

    expect(await requestsOf(() => orders.process(createContext(), event("event1")))).toEqual({ POST: 1, list: 1 });
    expect(await requestsOf(() => orders.process(createContext(), event("event1")))).toEqual({ POST: 1, GET: 1, list: 1 });
    expect(await requestsOf(() => orders.process(createContext(), event("event2")))).toEqual({ POST: 1, list: 1 });
  });

  test("a whole order of three events: 14 requests", async () => {
    const { requestsOf, orders } = await tutorial();

    const requests = await requestsOf(async () => {
      for (const source of ["event1", "event2", "event3"]) await orders.process(createContext(), event(source));
    });

    expect(requests).toEqual({ POST: 7, list: 4, GET: 3 });
  });

  test("with a window, the first event costs 2 more", async () => {
    const { requestsOf, orders } = await tutorial({ window: { size: 60_000 } });

    expect(await requestsOf(() => orders.process(createContext(), event("event1")))).toEqual({ POST: 3, list: 1 });
  });

  test("an event that comes after its order was processed: 4 requests", async () => {
    const { requestsOf, orders } = await tutorial();
    for (const source of ["event1", "event2", "event3"]) await orders.process(createContext(), event(source));

    expect(await requestsOf(() => orders.process(createContext(), event("event2")))).toEqual({ POST: 1, GET: 2, list: 1 });
  });

  test("a message that is processed once without a join: 2 requests, and 2 when it is repeated", async () => {
    const { requestsOf, store } = await counted();
    const payments = pipeline()
      .use(idempotency({ store }))
      .use(async () => {});

    expect(await requestsOf(() => payments.process(createContext(), event("event1")))).toEqual({ POST: 2 });
    expect(await requestsOf(() => payments.process(createContext(), event("event1")))).toEqual({ POST: 1, GET: 1 });
  });
});

suite("what each call of the store asks of the service", () => {
  test.each<[string, (store: EventStore) => Promise<unknown>, object]>([
    ["persist of a new entry", (store) => store.persist(event("new")), { POST: 1 }],
    ["persist of a new entry that is expected to be absent", (store) => store.persist(event("new"), { expected: "absent" }), { POST: 1 }],
    ["persist over whatever is there", (store) => store.persist(event("event1")), { POST: 2, GET: 1 }],
    ["persist with a deadline", (store) => store.persist(event("new"), { expected: "absent", dueAt: 1 }), { POST: 2 }],
    ["lookUp", (store) => store.lookUp("order-1", "event1"), { GET: 1 }],
    ["lookUp of what is not there", (store) => store.lookUp("order-1", "new"), { GET: 1 }],
    ["lookUpByKey of three entries", (store) => store.lookUpByKey("order-1"), { list: 1, GET: 3 }],
    ["listSourcesByKey", (store) => store.listSourcesByKey("order-1"), { list: 1 }],
    ["listKeys", (store) => store.listKeys({ limit: 10 }), { list: 1 }],
    ["listDue of two entries", (store) => store.listDue({ before: 10, limit: 10 }), { list: 1, GET: 2 }],
    ["remove", (store) => store.remove("order-1", "event1"), { GET: 1, DELETE: 1 }],
  ])("%s", async (_call, call, expected) => {
    const { requestsOf, store } = await counted();
    for (const [index, source] of ["event1", "event2", "event3"].entries()) {
      await store.persist(event(source), index === 0 ? {} : { dueAt: index });
    }

    expect(await requestsOf(() => call(store))).toEqual(expected);
  });

  test("persist over a revision and remove of a revision are one request each", async () => {
    const { requestsOf, store } = await counted();
    const first = await store.persist(event("event1"));
    let second = "";

    expect(await requestsOf(async () => (second = await store.persist(event("event1"), { expected: first })))).toEqual({ POST: 1 });
    expect(await requestsOf(() => store.remove("order-1", "event1", { expected: second }))).toEqual({ DELETE: 1 });
  });

  test("a removal is sent with the revision that it expects", async () => {
    const { proxy, store } = await counted();
    const revision = await store.persist(event("event1"));

    await store.remove("order-1", "event1", { expected: revision });

    const sent = proxy.requests.at(-1);
    expect([sent?.method, new URL(sent?.path ?? "", proxy.url).searchParams.get("ifGenerationMatch")]).toEqual(["DELETE", revision]);
  });
});

interface Counted {
  readonly proxy: FaultProxy;
  readonly store: GcsEventStore;
  /** How many requests of each kind were sent meanwhile. */
  readonly requestsOf: (work: () => Promise<unknown>) => Promise<Record<string, number>>;
}

/** A store behind a proxy that sees its requests, on a service that answers as the real one. */
async function counted(): Promise<Counted> {
  const service = await strictService();
  const proxy = await faultProxy({ upstream: service.url });
  onTestFinished(async () => {
    await proxy.close();
    await service.close();
  });
  return {
    proxy,
    store: gcsEventStore({ bucket: await newBucket(), storage: trustingStorageOn(proxy.url) }),
    async requestsOf(work) {
      const from = proxy.requests.length;
      await work();
      const counts: Record<string, number> = {};
      for (const { method, path } of proxy.requests.slice(from)) {
        const kind = method === "GET" && !path.includes("/o/") ? "list" : method;
        counts[kind] = (counts[kind] ?? 0) + 1;
      }
      return counts;
    },
  };
}

async function tutorial(options: { readonly window?: JoinWindow } = {}): Promise<Counted & { readonly orders: Processor }> {
  const behind = await counted();
  const { store } = behind;
  const orders = pipeline()
    .use(transformer(eraseContentFromSources("event1")))
    .use(joiner({ store, condition: matchAll("event1", "event2", "event3"), ...options }))
    .use(idempotency({ store }))
    .use(async () => {});
  return { ...behind, orders };
}

function event(source: string): Message {
  return createMessage({ id: source, key: "order-1", source, content: '{"amount":12}' });
}
