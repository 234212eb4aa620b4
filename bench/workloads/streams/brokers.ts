import type { StreamBroker } from "./clients.ts";

import { services } from "../../../test/services.ts";
import { answers, type BrokerPlace, ownMosquitto } from "./mosquitto.ts";

export type BrokerName = "nats" | "kafka" | "rabbitmq" | "pulsar" | "mqtt";

/** Each loads only its own clients. */
const opening: Readonly<Record<BrokerName, (url: string) => Promise<StreamBroker>>> = {
  nats: async (url) => (await import("./nats.ts")).openNats(url),
  kafka: async (url) => (await import("./kafka.ts")).openKafka(url),
  rabbitmq: async (url) => (await import("./rabbitmq.ts")).openRabbitmq(url),
  pulsar: async (url) => (await import("./pulsar.ts")).openPulsar(url),
  mqtt: async (url) => (await import("./mqtt.ts")).openMqtt(url),
};

/** Runs `work` with a broker; resolves to why not where there is none. */
export async function withBroker<Result>(name: BrokerName, work: (broker: StreamBroker) => Promise<Result>): Promise<Result | string> {
  const place = name === "mqtt" ? await ownMosquitto() : await runningServer(name);
  if (typeof place === "string") return place;
  try {
    const broker = await opening[name](place.url);
    try {
      return await work(broker);
    } finally {
      await broker.close();
    }
  } finally {
    await place.leave();
  }
}

/** The one that scripts/services has started. */
async function runningServer(name: BrokerName): Promise<BrokerPlace | string> {
  const { url } = services[name];
  if (await answers(url)) return { url, leave: async () => {} };
  return `skipped: no answer from ${name}; start it with scripts/services start ${name}`;
}
