import { AuthenticationError, NetworkError } from "@platformatic/kafka";
import { EventDriverError, systemClock } from "event-driver";
import fc from "fast-check";
import { expect, test, vi } from "vitest";

import { encodeBatch } from "../src/batch-encoder.ts";
import { RecordWriter, type RecordWriterOptions } from "../src/record-writer.ts";
import { type Fate, NumberedBroker, type NumberedBrokerOptions } from "./numbered-broker.ts";

test("what is written in one turn goes in one request, in its order", async () => {
  const { writer, broker } = bench();

  await Promise.all(["1", "2", "3"].map((id) => writer.write("orders", record(id))));

  expect(broker.requests).toEqual([["1", "2", "3"]]);
});

test("what comes while two requests are under way goes together into the next one", async () => {
  const { writer, broker, sent } = await known({ hold: true });

  const others = [];
  for (const ids of [["1"], ["2"], ["3", "4"]]) {
    others.push(...ids.map((id) => writer.write("orders", record(id))));
    await sent(Math.min(2, others.length) + 1);
  }
  broker.answer();
  await sent(4);
  for (let answers = 0; answers < 2; answers += 1) broker.answer();
  await Promise.all(others);

  expect(broker.requests).toEqual([["0"], ["1"], ["2"], ["3", "4"]]);
});

test("a producer that the broker does not know yet sends one batch of a partition alone, for the broker would take any", async () => {
  const { writer, broker, sent } = bench({ fates: ["busy"], hold: true });

  const first = writer.write("orders", record("1"));
  await sent(1);
  const second = writer.write("orders", record("2"));
  for (const requests of [2, 3]) {
    broker.answer();
    await sent(requests);
  }
  broker.answer();
  await Promise.all([first, second]);

  expect(broker.requests).toEqual([["1"], ["1"], ["2"]]);
});

test("a request does not get larger than it may, but for one record that is", async () => {
  const { writer, broker } = bench({ batchBytes: 130 });

  await Promise.all(["a", "b".repeat(1_000), "c", "d", "e", "f"].map((id) => writer.write("orders", record(id))));

  expect(broker.requests.map((ids) => ids.length)).toEqual([1, 1, 4]);
});

test("a batch of many small records is no larger than a request may be", async () => {
  const { writer, broker } = bench({ batchBytes: 50_000 });
  const sizes: number[] = [];
  const produce = broker.produce.bind(broker);
  vi.spyOn(broker, "produce").mockImplementation(async (node, topic, batches) => {
    for (const batch of batches) sizes.push((await encodeBatch(batch, "none", 0)).length);
    return produce(node, topic, batches);
  });

  await Promise.all(Array.from({ length: 5_000 }, () => writer.write("orders", { key: null, value: null, headers: [] })));

  expect(sizes.length).toBeGreaterThan(1);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(50_000);
});

test("a record that nobody waits for any longer is not sent, if it has not been", async () => {
  const { writer, broker, sent } = bench({ hold: true });
  const controller = new AbortController();

  const others = [];
  for (const id of ["1", "2"]) others.push(writer.write("orders", record(id)));
  await sent(1);
  others.push(writer.write("orders", record("3")));
  const given = writer.write("invoices", record("4"), controller.signal);
  controller.abort(new Error("too late"));
  await expect(given).rejects.toThrow("too late");
  await vi.waitUntil(() => {
    broker.answer();
    return broker.requests.flat().length === 3;
  }, often);
  broker.answer();
  await Promise.all(others);

  expect(broker.requests.flat()).toEqual(["1", "2", "3"]);
});

test("a refused batch is the failure of its own records alone, and those that were behind it are written", async () => {
  const { writer, broker, sent } = await known({ fates: ["written", "tooLarge"], hold: true });

  const first = writer.write("orders", record("1"));
  await sent(2);
  const second = writer.write("orders", record("2"));
  await sent(3);
  const outcome = Promise.allSettled([first, second]);
  await answering(broker, outcome);

  expect(await outcome).toMatchObject([{ reason: { code: "ERR_TOO_LARGE", retryable: false } }, { status: "fulfilled" }]);
  expect(broker.logs.get(0)).toEqual(["0", "2"]);
});

test("a producer that the broker does not know any more takes another identity, and goes on", async () => {
  const { writer, broker, sent } = await known({ fates: ["written", "unknown", "unknown", "unknown"], hold: true });

  const first = writer.write("orders", record("1"));
  await sent(2);
  const second = writer.write("orders", record("2"));
  await sent(3);
  await answering(broker, Promise.all([first, second]));

  expect(broker.identities).toBe(2);
  expect(broker.logs.get(0)).toEqual(["0", "1", "2"]);
});

test("nothing more is sent while it is not known of a batch whether it was written: the broker remembers only the last few", async () => {
  const { writer, broker, sent } = await known({ fates: ["written", "unanswered", "written", "unheard"], hold: true });

  const first = writer.write("orders", record("1"));
  await sent(2);
  const second = writer.write("orders", record("2"));
  await sent(3);
  broker.answer();
  broker.answer();
  await second;
  await sent(4);
  const third = writer.write("orders", record("3"));
  await turnsOf(20);
  await answering(broker, Promise.all([first, third]));

  expect(broker.requests).toEqual([["0"], ["1"], ["2"], ["1"], ["1"], ["3"]]);
});

test("each record is written once and in its order, whatever becomes of the requests", async () => {
  const fates = fc.array(fc.constantFrom<Fate>("written", "written", "busy", "unheard", "unanswered"), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(fates, counts, counts, fc.integer({ min: 1, max: 3 }), async (given, turns, writes, partitionCount) => {
      const { writer, broker } = bench({ fates: given, turns, partitionCount, batchBytes: 110 });

      const { ids, outcomes } = await writeAll(writer, writes);
      await Promise.all(outcomes);

      const stored = [...broker.logs.values()].flat();
      expect(stored.toSorted()).toEqual(ids.toSorted());
      for (const sameKey of Map.groupBy(ids, keyOf).values()) expect(stored.filter((id) => sameKey.includes(id))).toEqual(sameKey);
    }),
    { numRuns: 300 },
  );
});

test("what was refused is not written, and all else is, once and in its order", async () => {
  const fates = fc.array(fc.constantFrom<Fate>("written", "written", "busy", "unheard", "tooLarge"), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(fates, counts, counts, async (given, turns, writes) => {
      const { writer, broker } = bench({ fates: given, turns, batchBytes: 110 });

      const { ids, outcomes } = await writeAll(writer, writes);
      const settled = await Promise.allSettled(outcomes);

      expect(broker.logs.get(0) ?? []).toEqual(ids.filter((_, index) => settled[index]?.status === "fulfilled"));
    }),
    { numRuns: 300 },
  );
});

test("closing rejects what is under way and what waits, and all that comes", async () => {
  const { writer, broker, sent } = bench({ hold: true });

  const first = writer.write("orders", record("1"));
  await sent(1);
  const waiting = writer.write("orders", record("2"));
  writer.close();

  for (const each of [first, waiting, writer.write("orders", record("3"))])
    await expect(each).rejects.toMatchObject({ code: "ERR_CONNECTION_CLOSED", retryable: true });
  expect(broker.requests).toEqual([["1"]]);
});

test("closing ends what is tried again", async () => {
  const pauses: (() => void)[] = [];
  const clock = { now: () => 0, after: (_delay: number, callback: () => void) => (pauses.push(callback), () => {}) };
  const { writer, broker } = bench({ fates: ["busy", "busy"], clock });

  const given = writer.write("orders", record("1"));
  await vi.waitUntil(() => pauses.length === 1, often);
  writer.close();
  await expect(given).rejects.toMatchObject({ code: "ERR_CONNECTION_CLOSED" });
  pauses.shift()?.();
  await turnsOf(20);

  expect(broker.requests).toEqual([["1"], ["1"]]);
});

test("a missing topic is a failure, and a broker that is away is waited for", async () => {
  const away = new EventDriverError("ERR_CONNECTION_FAILED", { message: "away", retryable: true });
  const missing = new EventDriverError("ERR_TOPOLOGY", { message: "missing", retryable: true });
  const { writer, broker } = bench({ topology: [away, new NetworkError("away"), undefined, missing] });

  await writer.write("orders", record("1"));

  await expect(writer.write("orders", record("2"))).rejects.toBe(missing);
  expect(broker.requests).toEqual([["1"]]);
});

test("whoever is not let in is told so, and may be let in the next time", async () => {
  const refused = new AuthenticationError("wrong password");
  const { writer, broker } = bench();
  vi.spyOn(broker, "newIdentity").mockRejectedValueOnce(refused);

  await expect(writer.write("orders", record("1"))).rejects.toBe(refused);
  await writer.write("orders", record("2"));

  expect(broker.requests).toEqual([["2"]]);
});

interface BenchOptions extends NumberedBrokerOptions, Partial<Pick<RecordWriterOptions, "batchBytes" | "clock">> {
  /** What asking for the topic fails with, one after the other. */
  readonly topology?: readonly (Error | undefined)[];
}

interface Bench {
  readonly writer: RecordWriter;
  readonly broker: NumberedBroker;
  /** Resolves when so many requests were sent. */
  readonly sent: (count: number) => Promise<void>;
}

function bench({ topology = [], batchBytes = 1_000_000, clock = quick, ...options }: BenchOptions = {}): Bench {
  const broker = new NumberedBroker(options);
  const answers = [...topology];
  const writer = new RecordWriter({
    client: broker,
    topology: {
      async require() {
        const error = answers.shift();
        if (error !== undefined) throw error;
        return 1;
      },
      forget() {},
    },
    batchBytes,
    clock,
  });
  return { writer, broker, sent: (count) => vi.waitUntil(() => broker.requests.length === count, often).then(() => undefined) };
}

/** One whose producer the broker knows, as it has written the record `0`. */
async function known(options: BenchOptions): Promise<Bench> {
  const opened = bench(options);
  const first = opened.writer.write("orders", record("0"));
  await opened.sent(1);
  opened.broker.answer();
  await first;
  return opened;
}

/** Milliseconds. */
const often = { timeout: 20_000, interval: 1 };

/** Time stands still, and no pause takes any. */
const quick: RecordWriterOptions["clock"] = { now: () => 0, after: (_delay, callback) => systemClock.after(0, callback) };

/** Answers whatever comes until `outcome` is known. */
async function answering(broker: NumberedBroker, outcome: Promise<unknown>): Promise<void> {
  let isKnown = false;
  void outcome.then(() => (isKnown = true));
  await vi.waitUntil(() => {
    broker.answer();
    return isKnown;
  }, often);
}

const counts = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 40 });

/** Writes so many records at a time, and waits as many turns. */
async function writeAll(
  writer: RecordWriter,
  writes: readonly number[],
): Promise<{ readonly ids: readonly string[]; readonly outcomes: readonly Promise<void>[] }> {
  const ids: string[] = [];
  const outcomes: Promise<void>[] = [];
  for (const count of writes) {
    for (let left = count % 7; left > 0; left -= 1) {
      const id = String(ids.length);
      ids.push(id);
      const outcome = writer.write("orders", record(id, keyOf(id)));
      outcome.catch(() => {});
      outcomes.push(outcome);
    }
    await turnsOf(count);
  }
  return { ids, outcomes };
}

function keyOf(id: string): string {
  return `order-${Number(id) % 4}`;
}

async function turnsOf(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await Promise.resolve();
}

function record(id: string, key: string = "order-1"): Parameters<RecordWriter["write"]>[1] {
  return { key, value: Buffer.from(id), headers: [] };
}
