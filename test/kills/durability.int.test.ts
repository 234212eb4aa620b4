import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, test, type TestContext } from "vitest";

import { shuffledDeliveries } from "../../examples/01-orders/demo/events.ts";
import { seededRandom } from "../../src/testing/event-store-kit/random.ts";
import { requestOf, sampleOrders } from "./order-events.ts";
import { startOrderService } from "./order-service.ts";
import { startOrderSink } from "./order-sink.ts";
import { post } from "./senders.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { createTimeline } from "./timeline.ts";

const oneByOne = 5 * 3;

test("the service answers no event with 2xx before all it has written is on disk", async (context) => {
  requireStrace(context);
  const folder = temporaryFolder();
  const [file, trace] = [`${folder}/orders.db`, `${folder}/trace`];
  const sink = await startOrderSink(createTimeline());
  const orders = sampleOrders(60);
  const events = orders.flatMap((order) => order.events);
  const numbers = seededRandom(4);
  const together = shuffledDeliveries(events.slice(oneByOne), () => numbers.below(2 ** 30) / 2 ** 30);
  // The tracer steps aside (-D), so that signals reach the service. It follows no thread but the one that runs JavaScript: that one writes.
  const tracer = ["strace", "-D", "-y", "-s", "16", "-e", "trace=pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync", "-o", trace];
  const environment = { PORT: "0", STORE: `sqlite:${file}`, K_SINK: sink.addressFor("it"), LOG_LEVEL: "fatal" };
  const service = startOrderService(environment, { prefix: tracer });
  const url = await service.ready();

  for (const event of events.slice(0, oneByOne)) await post(url, requestOf(event));
  const answers = await Promise.all(together.map((delivery) => post(url, delivery)));
  service.signal("SIGTERM");
  await service.ended;

  const calls = callsOn(file, readFileSync(trace, "utf8"));
  const acknowledgements = [...calls.keys()].filter((index) => calls[index] === "acknowledge");
  expect(answers.every((answer) => answer !== undefined && [202, 204].includes(answer.status))).toBe(true);
  expect(acknowledgements).toHaveLength(oneByOne + together.length);
  expect(sink.arrivals).toHaveLength(orders.length);
  expect(acknowledgedTooEarly(calls)).toEqual([]);
  for (const [index, end] of acknowledgements.slice(0, oneByOne).entries()) {
    const ofEvent = calls.slice(acknowledgements[index - 1] ?? 0, end);
    expect(ofEvent, `system calls of event ${index}`).toEqual(expect.arrayContaining(["write log", "sync log"]));
  }
});

test.each<[when: string, calls: readonly Call[], found: readonly number[]]>([
  ["without a sync", ["write log", "acknowledge"], [1]],
  ["before the sync", ["write log", "sync log", "write log", "acknowledge", "sync log"], [3]],
  ["after the sync of another file", ["write log", "sync file", "acknowledge"], [2]],
  ["after the sync", ["write log", "sync log", "acknowledge", "write log"], []],
])("an answer %s is told from a good one", (_, calls, found) => {
  expect(acknowledgedTooEarly(calls)).toEqual(found);
});

type Call = "write file" | "sync file" | "write log" | "sync log" | "acknowledge";

/** The system calls that matter, in order. The log's index is no data: it is made anew after a crash. */
function callsOn(file: string, trace: string): readonly Call[] {
  return trace.split("\n").flatMap((line): Call[] => {
    if (/^(?:write|writev|sendto|sendmsg)\(.*"HTTP\/1\.1 2\d\d /.test(line)) return ["acknowledge"];
    const which = line.includes(`<${file}>`) ? "file" : line.includes(`<${file}-wal>`) ? "log" : undefined;
    if (which === undefined) return [];
    if (/^(?:pwrite64|writev?)\(/.test(line)) return [`write ${which}`];
    return /^(?:fsync|fdatasync)\(.*= 0$/.test(line) ? [`sync ${which}`] : [];
  });
}

/** Where something was acknowledged while the file or its log held what no sync had followed. */
function acknowledgedTooEarly(calls: readonly Call[]): readonly number[] {
  const dirty = new Set<string>();
  return calls.flatMap((call, index) => {
    const [what = "", which = ""] = call.split(" ");
    if (what === "write") dirty.add(which);
    if (what === "sync") dirty.delete(which);
    return what === "acknowledge" && dirty.size > 0 ? [index] : [];
  });
}

function requireStrace(context: TestContext): void {
  if (spawnSync("strace", ["-V"]).error === undefined) return;
  if (process.env["REQUIRE_SERVICES"] === "1") throw new Error("strace is not installed, and REQUIRE_SERVICES=1 asks for it");
  context.skip("strace is not installed");
}
