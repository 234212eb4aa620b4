import type { AddressInfo } from "node:net";

import { Agent, createServer, request } from "node:http";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";

import { services, suiteWith } from "../services.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { addressOf, farBucket, newBucket } from "./gcs-bucket.ts";
import { requestOf, type SampleOrder, sampleOrder } from "./order-events.ts";
import { type OrderSink, startOrderSink } from "./order-sink.ts";
import { type Answer, post } from "./senders.ts";
import { createTimeline } from "./timeline.ts";
import { changed } from "./verdict.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

const suite = await suiteWith("gcs", "toxiproxy");

suite("the last two events of an order, at the same instant at four processes that share a bucket", { timeout: 60_000 }, () => {
  test("are emitted once, and whoever came too late is told that it is done or to come again", async () => {
    const { store, network } = await farBucket();
    // So far that what one process has written reaches the others only when all of them have begun.
    await network.poison({ type: "latency", toxicity: 1, attributes: { latency: 15, jitter: 10 } });
    const { orders, sink, answers } = await race(store, 12);

    expect(orders.flatMap((order) => changed(order, sink.accepted(order.key)))).toEqual([]);
    expect(sink.arrivals).toHaveLength(orders.length);
    expect(answers.filter((answer) => ![202, 204, 409].includes(answer?.status ?? 0))).toEqual([]);
    expect(answers.filter((answer) => answer?.status === 204).length).toBeGreaterThanOrEqual(orders.length);
  });

  test("are emitted more than once where the bucket does not compare what it replaces, and the count shows it", async () => {
    const { orders, sink } = await race(addressOf(await newBucket(), await uncomparing()), 6);

    expect(sink.arrivals.length).toBeGreaterThan(orders.length);
  });
});

interface Race {
  readonly orders: readonly SampleOrder[];
  readonly sink: OrderSink;
  readonly answers: readonly (Answer | undefined)[];
}

/** Of every order the first event, and when that is kept both others to all processes at once. */
async function race(store: string, count: number): Promise<Race> {
  const timeline = createTimeline();
  const sink = await startOrderSink(timeline);
  const cluster = await startCluster({ store, size: 4, sink, timeline });
  const orders = Array.from({ length: count }, (_, index) => sampleOrder(`order-${index + 1}`));
  const answers = await Promise.all(orders.map((order) => raceFor(order, cluster)));
  return { orders, sink, answers: answers.flat() };
}

async function raceFor({ events }: SampleOrder, { running }: Cluster): Promise<readonly (Answer | undefined)[]> {
  const [first, ...last] = events.map(requestOf);
  const kept = first && running[0] && (await post(running[0].url, first));
  expect(kept?.status).toBe(202);
  return Promise.all(running.flatMap(({ url }) => last.map((event) => post(url, event))));
}

/** The bucket's service without its preconditions: every write wins. Resolves to where it listens. */
async function uncomparing(): Promise<string> {
  const agent = new Agent({ keepAlive: true });
  const server = createServer((incoming, response) => {
    const url = new URL(incoming.url ?? "", services.gcs.url);
    url.searchParams.delete("ifGenerationMatch");
    const sent = request(url, { method: incoming.method, agent, headers: { ...incoming.headers, host: url.host } }, (received) => {
      response.writeHead(received.statusCode ?? 502, received.headers);
      received.pipe(response);
    });
    sent.on("error", () => response.destroy());
    incoming.pipe(sent);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
    agent.destroy();
  });
  return `http://127.0.0.1:${portOf(server.address())}`;
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("the service does not listen on a port");
  return address.port;
}
