import {
  type Clock,
  type Context,
  createContext,
  createMessage,
  type EventStore,
  type Handler,
  idempotency,
  joiner,
  type JoinerOptions,
  type Logger,
  matchAll,
  type Message,
  pipeline,
  type Processor,
  silentLogger,
  systemClock,
} from "event-driver";
import { virtualClock } from "event-driver/testing";
import { beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { gcsEventStore, type GcsEventStoreOptions } from "@event-driver/google-cloud/storage";

import { faultProxy } from "../../../../test/fault-proxy.ts";
import { services, suiteWith } from "../../../../test/services.ts";
import { newBucket, storageOn } from "./emulated-bucket.ts";
import { GoService } from "./go-bucket.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

const suite = await suiteWith("gcs");

suite("a Go service and one of this library on the same bucket", () => {
  describe.each(["none", "gzip"] as const)("compressor %s", (compressor) => {
    test("what the Go service has begun is joined once with what comes here", async () => {
      const { go, deliver, emitted, warnings } = await replica({ compressor });
      await go.persist("order-1", "event1", "");
      await go.persist("order-1", "event2", '{"total":1.10}');

      await deliver(eventOf("event3"));
      await deliver(eventOf("event3"));

      expect(contentsOf(emitted)).toEqual(['{"event1":"","event2":{"total":1.10},"event3":{"from":"event3"}}']);
      expect(warnings).toEqual([]);
    });

    test("what was begun here is there for the Go service", async () => {
      const { go, deliver, emitted } = await replica({ compressor });

      await deliver(eventOf("event1"));
      await deliver(eventOf("event2"));

      expect(emitted).toEqual([]);
      expect(await go.listSources("order-1")).toEqual(["event1", "event2"]);
      expect(await go.lookUp("order-1", "event2")).toBe('{"from":"event2"}');
    });

    test("what the Go service has stored and its sender repeats here changes nothing", async () => {
      const { go, deliver, emitted, warnings } = await replica({ compressor, repeated: "first" });
      for (const source of ["event1", "event2", "event3"]) await go.persist("order-1", source, `{"from":"${source}"}`);

      for (const source of ["event3", "event1", "event2"]) await deliver(eventOf(source));

      expect(contentsOf(emitted)).toEqual(['{"event1":{"from":"event1"},"event2":{"from":"event2"},"event3":{"from":"event3"}}']);
      expect(warnings).toEqual([]);
    });
  });

  test("an order that comes to two replicas at once is emitted once", async () => {
    const bucket = await newBucket();
    const claimsBucket = await newBucket();
    const [one, other] = [await replica({ bucket, claimsBucket }), await replica({ bucket, claimsBucket })];
    await one.go.persist("order-1", "event1", "");

    await Promise.all([one.deliver(eventOf("event2")), other.deliver(eventOf("event3"))]);

    expect([...one.emitted, ...other.emitted]).toHaveLength(1);
  });

  test("claims may lie in the same bucket, in a folder that is no key", async () => {
    const bucket = await newBucket();
    const { deliver, emitted } = await replica({ bucket, claimsBucket: bucket });

    for (const source of ["event1", "event2", "event3"]) await deliver(eventOf(source));

    expect(emitted).toHaveLength(1);
    const [files] = await storageOn().bucket(bucket).getFiles();
    const joined = files.map(({ name }) => name.split("/").slice(0, 2).join("/"));
    expect(joined).toEqual(["claims/due", "claims/due", "claims/entries", "order-1/event1", "order-1/event2", "order-1/event3"]);
  });

  test("a window ends a join whose messages lie in the bucket", async () => {
    const clock = virtualClock({ now: Date.now() });
    const missing: (readonly string[])[] = [];
    const { go, orders, deliver } = await replica({
      window: { size: 60_000 },
      async onTimeout(_ctx, timeout) {
        missing.push(timeout.missing);
      },
    });
    await go.persist("order-1", "event1", "");
    await deliver(eventOf("event2"), clock);

    await clock.advance(60_000);
    await orders.sweep(createContext({ clock }));

    expect(missing).toEqual([["event3"]]);
  });

  test("retention removes what was joined, of whichever service", async () => {
    const clock = virtualClock({ now: Date.now() });
    const { go, orders, deliver } = await replica({ retention: 60_000 });
    await go.persist("order-1", "event1", "");
    await deliver(eventOf("event2"), clock);
    await deliver(eventOf("event3"), clock);

    await clock.advance(120_000);
    await orders.sweep(createContext({ clock }));

    expect(await go.listSources("order-1")).toEqual([]);
  });

  test("an event that completes no join costs 4 requests, and a whole order of three events 20", async () => {
    const proxy = await faultProxy({ upstream: services.gcs.url });
    onTestFinished(() => proxy.close());
    const { deliver } = await replica({ apiEndpoint: proxy.url });

    await deliver(eventOf("event1"));
    const first = proxy.requests.length;
    await deliver(eventOf("event2"));
    await deliver(eventOf("event3"));

    expect([first, proxy.requests.length]).toEqual([4, 20]);
  });

  test("an order that the Go service has processed is passed over, and one that was processed here is marked for it", async () => {
    const { go, deliver, emitted } = await replica({ marksForGo: true });
    for (const source of ["event1", "event2", "event3"]) await go.persist("order-1", source, "");
    await go.persist("order-1", "composed-event", "what the Go service has composed");

    await deliver(eventOf("event3"));
    for (const source of ["event1", "event2", "event3"]) await deliver(eventOf(source, "order-2"));

    expect(emitted.map(({ key }) => key)).toEqual(["order-2"]);
    expect(await go.lookUp("order-2", "composed-event")).toBe(emitted[0]?.content);
  });
});

const condition = matchAll("event1", "event2", "event3");

/** The stage of the documentation: what the cache of the Go original looks for before it passes an order on, and leaves behind. */
function sharedWithGo(store: EventStore): Handler {
  return {
    async process(ctx, order, next) {
      if ((await store.lookUp(order.key, order.source)) !== undefined) return ctx.ended("duplicate");
      await next(ctx, order);
      await store.persist(order);
    },
  };
}

function recorder(emitted: Message[]): (ctx: Context, order: Message) => Promise<void> {
  return async (_ctx, order) => {
    emitted.push(order);
  };
}

interface Setting extends Pick<GcsEventStoreOptions, "compressor">, Pick<JoinerOptions, "repeated" | "window" | "onTimeout" | "retention"> {
  readonly bucket?: string;
  readonly claimsBucket?: string;
  readonly apiEndpoint?: string;
  /** Whether it looks for what the cache of a Go service leaves behind, and leaves the same. */
  readonly marksForGo?: boolean;
}

interface Replica {
  readonly go: GoService;
  readonly orders: Processor;
  readonly deliver: (message: Message, clock?: Clock) => Promise<void>;
  readonly emitted: Message[];
  /** What it has warned of, late messages for example. */
  readonly warnings: string[];
}

/** One process of the service that takes over, and a Go service on the same bucket. */
async function replica(setting: Setting): Promise<Replica> {
  const { compressor = "none", bucket: given, claimsBucket, apiEndpoint = services.gcs.url, marksForGo = false, ...options } = setting;
  const bucket = given ?? (await newBucket());
  const store = gcsEventStore({ bucket, apiEndpoint, layout: "go", compressor });
  const claims = gcsEventStore({ bucket: claimsBucket ?? (await newBucket()), apiEndpoint, folder: "claims" });
  const emitted: Message[] = [];
  const warnings: string[] = [];
  const joined = pipeline()
    .use(joiner({ store, claims, condition, ...options }))
    .use(idempotency({ store: claims }));
  const orders = (marksForGo ? joined.use(sharedWithGo(store)) : joined).use(recorder(emitted));
  const logger: Logger = { ...silentLogger, warn: (_fields, text) => void warnings.push(text) };
  return {
    go: new GoService(bucket, { gzip: compressor === "gzip" }),
    orders,
    emitted,
    deliver: (message, clock = systemClock) => orders.process(createContext({ clock, logger }), message),
    warnings,
  };
}

function eventOf(source: string, key = "order-1"): Message {
  return createMessage({ id: `id of ${source}`, key, source, time: "2026-01-01T00:00:00Z", content: JSON.stringify({ from: source }) });
}

function contentsOf(messages: readonly Message[]): readonly unknown[] {
  return messages.map(({ content }) => content);
}
