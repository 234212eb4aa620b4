import type { RunCase } from "../../harness/result.ts";
import type { StreamBroker } from "./clients.ts";

import { services } from "../../../test/services.ts";
import { newStream } from "./messages.ts";
import { answers, type BrokerPlace, ownMosquitto } from "./mosquitto.ts";

export type BrokerName = "nats" | "kafka" | "rabbitmq" | "pulsar" | "mqtt";

/** Each loads only its own clients. */
const opening: ReadonlyMap<string, (url: string) => Promise<StreamBroker>> = new Map([
  ["nats", async (url) => (await import("./nats.ts")).openNats(url)],
  ["kafka", async (url) => (await import("./kafka.ts")).openKafka(url)],
  ["rabbitmq", async (url) => (await import("./rabbitmq.ts")).openRabbitmq(url)],
  ["pulsar", async (url) => (await import("./pulsar.ts")).openPulsar(url)],
  ["mqtt", async (url) => (await import("./mqtt.ts")).openMqtt(url)],
] satisfies [BrokerName, (url: string) => Promise<StreamBroker>][]);

/** Opens the clients of a broker, each of them connected. */
export async function openBroker(name: string, url: string): Promise<StreamBroker> {
  const open = opening.get(name);
  if (open === undefined) throw new Error(`no broker is called ${JSON.stringify(name)}; there are ${[...opening.keys()].join(", ")}`);
  return open(url);
}

export type Measured = Awaited<ReturnType<RunCase>>;

/** Runs a case with a broker; where there is none, its result says why. */
export async function onBroker(name: BrokerName, run: (broker: StreamBroker, url: string) => Promise<Measured>): Promise<Measured> {
  const place = name === "mqtt" ? await ownMosquitto() : await runningServer(name);
  if (typeof place === "string") return { measurements: [], checks: [], notes: [place] };
  try {
    const broker = await openBroker(name, place.url);
    try {
      return await run(broker, place.url);
    } finally {
      await broker.close();
    }
  } finally {
    await place.leave();
  }
}

/** A stream for as long as `work` takes, made as the connection makes it. */
export async function withStream<Result>({ connection, remove }: StreamBroker, work: (stream: string) => Promise<Result>): Promise<Result> {
  const stream = newStream();
  const setUp = await connection.subscribe(stream, async () => {}, { name: "set-up" });
  await setUp.unsubscribe();
  try {
    return await work(stream);
  } finally {
    await remove(stream);
  }
}

/** The one that scripts/services has started. */
async function runningServer(name: BrokerName): Promise<BrokerPlace | string> {
  const { url } = services[name];
  if (await answers(url)) return { url, leave: async () => {} };
  return `skipped: no answer from ${name}; start it with scripts/services start ${name}`;
}
