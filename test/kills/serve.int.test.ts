import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";

import { requestOf, sampleOrder } from "./order-events.ts";
import { startOrderService } from "./order-service.ts";
import { startOrderSink } from "./order-sink.ts";
import { healthOf, post } from "./senders.ts";
import { temporaryFolder } from "./temporary-folder.ts";
import { createTimeline } from "./timeline.ts";

const order = sampleOrder("order-1");

test("it writes one line to standard output, and its logs as lines of JSON to standard error", async () => {
  const service = startOrderService({ PORT: "0", STORE: "memory:" });
  const url = await service.ready();

  for (const event of order.events) await post(url, requestOf(event));
  service.signal("SIGTERM");

  expect(await service.ended).toBe(0);
  expect(service.standardOutput).toMatch(/^listening on http:\/\/127\.0\.0\.1:[1-9]\d*\n$/);
  expect(logsOf(service)).toEqual([expect.objectContaining({ level: 30, msg: "charged the order", key: order.key })]);
});

test("it can be asked to end from the moment at which it says that it listens", async () => {
  const STORE = `sqlite:${temporaryFolder()}/orders.db`;
  const services = Array.from({ length: 4 }, () => startOrderService({ PORT: "0", STORE }));

  const endings = services.map(async (service) => {
    await service.ready();
    service.signal("SIGTERM");
    return service.ended;
  });

  expect(await Promise.all(endings)).toEqual([0, 0, 0, 0]);
});

test.skipIf(process.platform !== "linux")("left to itself it takes port 8080, and orders.db in its folder", async () => {
  const folder = temporaryFolder();
  // An address of this run alone, so that it meets no other service.
  const HOST = `127.1.${process.pid & 255}.${(process.pid >> 8) & 255 || 1}`;
  const service = startOrderService({ HOST, PORT: "", STORE: "", K_SINK: "", LOG_LEVEL: "" }, { folder });

  expect(await service.ready()).toBe(`http://${HOST}:8080`);
  await post(`http://${HOST}:8080`, requestOf(order.events[0]));
  service.signal("SIGTERM");

  expect(await service.ended).toBe(0);
  // Closed as well: its log is gone.
  expect(readdirSync(folder)).toEqual(["orders.db"]);
});

test("an empty HOST opens it to this machine alone, and no other", async () => {
  const service = startOrderService({ HOST: "", PORT: "0", STORE: "memory:" });

  expect(await service.ready()).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
});

test.each([
  ["PORT", "http", 'PORT is "http", allowed is a whole number from 0 to 65535'],
  ["PORT", "65536", 'PORT is "65536", allowed is a whole number from 0 to 65535'],
  ["PORT", "-1", 'PORT is "-1", allowed is a whole number from 0 to 65535'],
  ["HOST", "192.0.2.1", "address not available 192.0.2.1"],
  ["STORE", "orders.db", 'STORE is "orders.db", allowed are "sqlite:FILE", "gcs:BUCKET/FOLDER" and "memory:"'],
  ["STORE", "sqlite:", 'STORE is "sqlite:", allowed are "sqlite:FILE", "gcs:BUCKET/FOLDER" and "memory:"'],
  ["STORE", "redis://orders", 'STORE is "redis://orders", allowed are "sqlite:FILE", "gcs:BUCKET/FOLDER" and "memory:"'],
  ["STORE", "sqlite:no/such/folder/orders.db", "cannot be written: it and its folder must exist"],
  ["STORE", "gcs:", 'url is "gcs:", allowed is "gcs:BUCKET"'],
  ["STORE", "gcs:orders?folder=a", 'option is "folder", allowed is one of apiEndpoint,'],
  ["SOURCE", "orders", 'SOURCE begins with "", allowed are nats://HOST:PORT, tls://HOST:PORT,'],
  ["SOURCE", "redis://ann:secret@orders", 'SOURCE begins with "redis:", allowed are nats://HOST:PORT,'],
  ["SOURCE", "nats://ann:secret@[orders", "natsConnection: url is"],
  ["K_SINK", "orders", 'K_SINK is "text that is no absolute URL", allowed is an absolute http or https URL'],
  ["K_SINK", "ftp://orders/", "allowed is an absolute http or https URL"],
  ["LOG_LEVEL", "loud", 'LOG_LEVEL is "loud", allowed are trace, debug, info, warn, error, fatal, silent'],
])("%s=%s ends it at once with a log that says why", async (name, value, reason) => {
  const folder = temporaryFolder();
  const service = startOrderService({ PORT: "0", STORE: "memory:", [name]: value }, { folder });

  expect(await service.ended).toBe(1);
  expect(service.standardOutput).toBe("");
  expect(logsOf(service)).toEqual([{ ...anyLog, level: 60, msg: expect.stringContaining(reason) }]);
  expect(service.standardError).not.toContain("secret");
});

test("a broker that does not answer ends it with a log that says which, and no password", async () => {
  // Nobody may listen on this port without being asked. Kafka's and Pulsar's addresses take no user.
  const sources = ["nats://ann:secret@", "amqp://ann:secret@", "mqtt://ann:secret@", "kafka://", "pulsar+ws://"];
  const services = sources.map((source) => startOrderService({ PORT: "0", STORE: "memory:", SOURCE: `${source}127.0.0.1:1` }));

  expect(await Promise.all(services.map((service) => service.ended))).toEqual([1, 1, 1, 1, 1]);
  for (const service of services) {
    expect(service.standardOutput).toBe("");
    expect(logsOf(service).at(-1)).toEqual({ ...anyLog, msg: expect.stringContaining("127.0.0.1:1") });
    expect(service.standardError).not.toContain("secret");
  }
});

test("a port in use and a file that is no database end it with a log that says why, at any LOG_LEVEL", async () => {
  const file = `${temporaryFolder()}/orders.db`;
  writeFileSync(file, "orders, and nothing that SQLite could read");
  const first = startOrderService({ PORT: "0", STORE: "memory:" });
  const { port } = new URL(await first.ready());
  const second = startOrderService({ PORT: port, STORE: "memory:", LOG_LEVEL: "silent" });
  const third = startOrderService({ PORT: "0", STORE: `sqlite:${file}`, LOG_LEVEL: "silent" });

  expect([await second.ended, await third.ended]).toEqual([1, 1]);
  expect(logsOf(second)).toEqual([{ ...anyLog, msg: expect.stringContaining("address already in use") }]);
  expect(logsOf(third)).toEqual([{ ...anyLog, msg: expect.stringContaining("is not an SQLite database") }]);
});

test("LOG_LEVEL decides what is logged", async () => {
  const service = startOrderService({ PORT: "0", STORE: "memory:", LOG_LEVEL: "warn" });
  const url = await service.ready();

  for (const event of order.events) await post(url, requestOf(event));
  await post(url, { headers: { "content-type": "application/cloudevents+json" }, body: "{}" });
  service.signal("SIGINT");

  expect(await service.ended).toBe(0);
  expect(logsOf(service)).toEqual([expect.objectContaining({ level: 40, msg: "an event was rejected" })]);
});

test("several that begin at once on a file that is not there yet serve the same orders", async () => {
  const STORE = `sqlite:${temporaryFolder()}/orders.db`;
  const sink = await startOrderSink(createTimeline());
  const names = ["a", "b", "c"];
  const services = names.map((name) => startOrderService({ PORT: "0", STORE, K_SINK: sink.addressFor(name) }));
  const urls = await Promise.all(services.map((service) => service.ready()));

  const health = await Promise.all(urls.map((url) => healthOf(url)));
  await Promise.all(order.events.map((event, index) => post(urls[index] ?? "", requestOf(event))));

  expect(health).toEqual([200, 200, 200]);
  expect(new Set(urls).size).toBe(3);
  expect(sink.accepted(order.key).map(({ body }) => body)).toEqual([order.composed]);
});

test("while its store cannot answer, its health is 503 and it accepts nothing", async () => {
  const folder = temporaryFolder();
  const service = startOrderService({ PORT: "0", STORE: `sqlite:${folder}/orders.db` });
  const url = await service.ready();
  const before = await healthOf(url);

  for (const file of ["orders.db", "orders.db-wal", "orders.db-shm"]) rmSync(`${folder}/${file}`);
  await expect.poll(() => healthOf(url), { timeout: 10_000 }).toBe(503);
  const answer = await post(url, requestOf(order.events[0]));

  expect(before).toBe(200);
  expect(answer?.status).toBe(500);
});

const anyLog = { level: 60, time: expect.any(Number), pid: expect.any(Number), hostname: expect.any(String), err: expect.any(Object) };

/** Every line of standard error; a line that is no JSON fails the test. */
function logsOf({ standardError }: { readonly standardError: string }): readonly unknown[] {
  return standardError
    .split("\n")
    .filter((line) => line !== "")
    .map((line): unknown => JSON.parse(line));
}
