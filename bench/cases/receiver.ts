import type { RunCase } from "../harness/result.ts";

import { alternate, type Contestant, costRatio, measurements } from "../harness/alternate.ts";
import { type Child, startChild } from "../harness/child.ts";
import { fire, type Shot } from "../workloads/http-load.ts";

// Under these names the child knows them too.
const ours = "event-driver";
const bare = "bare node:http and JSON.parse";
const sdk = "the SDK's HTTP.toEvent";
const framework = "functions-framework";

/**
 * Each server runs in a process of its own and tells what CPU time it has used; this process only sends. So the figures are those of the server
 * alone, and do not depend on how fast it is sent to.
 */
export const receiverRequests: RunCase = async ({ quick }) => {
  const requests = quick ? 2_000 : 6_000;
  const running = await Promise.all([ours, bare, sdk, framework].map(start));

  const samples = await alternate(
    [...shots].flatMap(([mode, shot]) => running.map((server) => contestant(server, mode, shot, requests))),
    // A server takes some twenty thousand requests until the compiler is done with it.
    { warmUp: quick ? 3 : 5, measured: quick ? 5 : 15 },
  );

  for (const { child } of running) child.end();
  return {
    measurements: measurements(samples, "µs CPU"),
    checks: [...shots.keys()].flatMap((mode) => [
      costRatio(samples, nameOf(ours, mode), nameOf(bare, mode), { most: 1.5 }),
      costRatio(samples, nameOf(ours, mode), nameOf(sdk, mode), { most: 0.6 }),
      costRatio(samples, nameOf(ours, mode), nameOf(framework, mode), { most: 0.25 }),
      // Says how far that last one can be reached at all by a server that stands on node:http.
      costRatio(samples, nameOf(bare, mode), nameOf(framework, mode)),
    ]),
  };
};

interface RunningServer {
  readonly name: string;
  readonly child: Child;
  readonly port: number;
}

async function start(name: string): Promise<RunningServer> {
  const child = startChild(new URL("../children/server.ts", import.meta.url), [name]);
  return { name, child, port: Number(await child.hear()) };
}

function contestant({ name, child, port }: RunningServer, mode: string, shot: Shot, requests: number): Contestant {
  return {
    name: nameOf(name, mode),
    async round() {
      const before = Number(await child.ask("CPU time?"));
      await fire(port, shot, requests);
      return (Number(await child.ask("CPU time?")) - before) / requests;
    },
  };
}

function nameOf(server: string, mode: string): string {
  return `${server}, ${mode}`;
}

/** Data of about 1 KiB. */
const data = {
  order: "order-1",
  customer: { id: "c-20417", name: "Ada Lovelace", address: ["12 St James's Square", "London SW1Y 4JH"] },
  lines: Array.from({ length: 13 }, (_, line) => ({ article: `a-${line}`, quantity: line + 1, price: 12.5, currency: "EUR" })),
  total: 133.95,
};

const shots: ReadonlyMap<string, Shot> = new Map([
  [
    "binary",
    {
      headers: {
        "content-type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": "order-1-paid",
        "ce-source": "https://shop.example/payments",
        "ce-type": "order.paid",
        "ce-subject": "order-1",
        "ce-time": "2026-03-01T10:20:30.456Z",
      },
      body: JSON.stringify(data),
    },
  ],
  [
    "structured",
    {
      headers: { "content-type": "application/cloudevents+json" },
      body: JSON.stringify({
        specversion: "1.0",
        id: "order-1-paid",
        source: "https://shop.example/payments",
        type: "order.paid",
        subject: "order-1",
        time: "2026-03-01T10:20:30.456Z",
        datacontenttype: "application/json",
        data,
      }),
    },
  ],
]);
