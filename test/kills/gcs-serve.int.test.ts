import { beforeEach, expect, onTestFinished, test, vi } from "vitest";

import { faultProxy } from "../fault-proxy.ts";
import { services, suiteWith } from "../services.ts";
import { addressOf, newBucket } from "./gcs-bucket.ts";
import { requestOf, sampleOrder } from "./order-events.ts";
import { startOrderService } from "./order-service.ts";
import { startOrderSink } from "./order-sink.ts";
import { healthOf, post } from "./senders.ts";
import { createTimeline } from "./timeline.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

const suite = await suiteWith("gcs");
const order = sampleOrder("order-1");

suite("the order service on a bucket", () => {
  test("joins what several processes are sent, and ends with 0 when it is asked to", async () => {
    const [sink, STORE] = [await startOrderSink(createTimeline()), `${addressOf(await newBucket(), services.gcs.url)}&compressor=gzip`];
    const running = order.events.map((_, index) => startOrderService({ PORT: "0", STORE, K_SINK: sink.addressFor(`process-${index}`) }));
    const urls = await Promise.all(running.map((service) => service.ready()));

    const answers = [];
    for (const [index, event] of order.events.entries()) answers.push(await post(urls[index] ?? "", requestOf(event)));
    const again = await post(urls[0] ?? "", requestOf(order.events[2]));
    for (const service of running) service.signal("SIGTERM");

    expect(answers.map((answer) => answer?.status)).toEqual([202, 202, 204]);
    expect(again?.status).toBe(204);
    expect(sink.arrivals.map(({ body }) => body)).toEqual([order.composed]);
    expect(await Promise.all(running.map((service) => service.ended))).toEqual([0, 0, 0]);
  });

  test("does not start where there is no such bucket, and says so", async () => {
    const service = startOrderService({ PORT: "0", STORE: addressOf("no-such-bucket", services.gcs.url) });

    expect(await service.ended).toBe(1);
    expect(service.standardOutput).toBe("");
    expect(service.standardError).toContain('of bucket \\"no-such-bucket\\" found no such bucket; create it, or correct the option bucket');
  });

  test("is not healthy and accepts nothing while the bucket cannot be reached, and both again when it can", async () => {
    const proxy = await faultProxy({ upstream: services.gcs.url });
    onTestFinished(() => proxy.close());
    const STORE = `${addressOf(await newBucket(), proxy.url)}&timeout=1000`;
    const url = await startOrderService({ PORT: "0", STORE, LOG_LEVEL: "fatal" }).ready();
    const before = await healthOf(url);

    const outage = proxy.answer({ status: 503 });
    await expect.poll(() => healthOf(url), { timeout: 20_000 }).toBe(503);
    const refused = await post(url, requestOf(order.events[0]));
    outage.withdraw();
    await expect.poll(() => healthOf(url), { timeout: 20_000 }).toBe(200);
    const accepted = await post(url, requestOf(order.events[0]));

    expect([before, refused?.status, accepted?.status]).toEqual([200, 500, 202]);
  });
});
