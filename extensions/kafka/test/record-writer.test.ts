import type { Producer } from "@platformatic/kafka";

import { EventDriverError, systemClock } from "event-driver";
import { expect, test, vi } from "vitest";

import { RecordWriter } from "../src/record-writer.ts";

test("what is written in one turn goes in one request, in its order", async () => {
  const { writer, requests } = bench();

  await Promise.all(["1", "2", "3"].map((id) => writer.write("orders", record(id))));

  expect(requests).toEqual([["1", "2", "3"]]);
});

test("what comes while a request is under way goes together into the next one", async () => {
  const { writer, requests, sent, answer } = bench({ hold: true });

  const first = writer.write("orders", record("1"));
  await sent(1);
  const others = ["2", "3"].map((id) => writer.write("orders", record(id)));
  answer();
  await first;
  await sent(2);
  answer();
  await Promise.all(others);

  expect(requests).toEqual([["1"], ["2", "3"]]);
});

test("a request does not get larger than it may, but for one record that is", async () => {
  const { writer, requests } = bench({ batchBytes: 400 });

  await Promise.all(["a", "b".repeat(1_000), "c", "d", "e", "f"].map((id) => writer.write("orders", record(id))));

  expect(requests.map((ids) => ids.length)).toEqual([1, 1, 4]);
});

test("a record that nobody waits for any longer is not sent, if it has not been", async () => {
  const { writer, requests, sent, answer } = bench({ hold: true });
  const controller = new AbortController();

  const first = writer.write("orders", record("1"));
  await sent(1);
  const second = writer.write("orders", record("2"), controller.signal);
  const third = writer.write("orders", record("3"));
  controller.abort(new Error("too late"));
  await expect(second).rejects.toThrow("too late");
  answer();
  await first;
  await sent(2);
  answer();
  await third;

  expect(requests).toEqual([["1"], ["3"]]);
});

test("a refused request is the failure of its own records alone", async () => {
  const { writer } = bench({ refuse: (ids) => ids.includes("1") });

  const first = writer.write("orders", record("1"));
  await expect(first).rejects.toThrow("refused");

  await writer.write("orders", record("2"));
});

test("closing rejects what is under way and what waits, and all that comes", async () => {
  const { writer, requests, sent } = bench({ hold: true });

  const first = writer.write("orders", record("1"));
  await sent(1);
  const waiting = writer.write("orders", record("2"));
  writer.close();

  for (const each of [first, waiting, writer.write("orders", record("3"))])
    await expect(each).rejects.toMatchObject({ code: "ERR_CONNECTION_CLOSED", retryable: true });
  expect(requests).toEqual([["1"]]);
});

test("a missing topic is a failure, and a broker that is away is waited for", async () => {
  const away = new EventDriverError("ERR_CONNECTION_FAILED", { message: "away", retryable: true });
  const missing = new EventDriverError("ERR_TOPOLOGY", { message: "missing", retryable: true });
  const { writer, requests } = bench({ topology: [away, away, undefined, missing] });

  await writer.write("orders", record("1"));

  await expect(writer.write("orders", record("2"))).rejects.toBe(missing);
  expect(requests).toEqual([["1"]]);
});

interface BenchOptions {
  readonly hold?: boolean;
  readonly batchBytes?: number;
  readonly refuse?: (ids: readonly string[]) => boolean;
  /** What asking for the topic fails with, one after the other. */
  readonly topology?: readonly (Error | undefined)[];
}

function bench({ hold = false, batchBytes = 1_000_000, refuse = () => false, topology = [] }: BenchOptions = {}): {
  readonly writer: RecordWriter;
  readonly requests: readonly (readonly string[])[];
  /** Resolves when so many requests were sent. */
  readonly sent: (count: number) => Promise<void>;
  /** Answers the request that is under way. */
  readonly answer: () => void;
} {
  const requests: string[][] = [];
  const held: (() => void)[] = [];
  const answers = [...topology];
  const send = async ({ messages }: Parameters<Producer["send"]>[0]): Promise<object> => {
    const ids = messages.map(({ value }) => String(value));
    if (refuse(ids)) throw new Error("refused");
    requests.push(ids);
    if (hold) await new Promise<void>((resolve) => held.push(resolve));
    return {};
  };
  const writer = new RecordWriter({
    producer: { send },
    topology: {
      async require() {
        const error = answers.shift();
        if (error !== undefined) throw error;
        return 1;
      },
      forget() {},
    },
    batchBytes,
    compression: "none",
    clock: { now: () => 0, after: (_delay, callback) => systemClock.after(0, callback) },
  });
  return {
    writer,
    requests,
    sent: (count) => vi.waitUntil(() => requests.length === count).then(() => undefined),
    answer: () => held.shift()?.(),
  };
}

function record(id: string): Parameters<RecordWriter["write"]>[1] {
  return { key: Buffer.from("order-1"), value: Buffer.from(id), headers: new Map() };
}
