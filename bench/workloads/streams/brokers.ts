import { connect } from "node:net";

import type { StreamBroker } from "./clients.ts";

import { services } from "../../../test/services.ts";

export type BrokerName = "nats" | "kafka" | "rabbitmq" | "pulsar" | "mqtt";

/** Each loads only its own clients. */
const opening: Readonly<Record<BrokerName, (url: string) => Promise<StreamBroker>>> = {
  nats: async (url) => (await import("./nats.ts")).openNats(url),
  kafka: async (url) => (await import("./kafka.ts")).openKafka(url),
  rabbitmq: async (url) => (await import("./rabbitmq.ts")).openRabbitmq(url),
  pulsar: async (url) => (await import("./pulsar.ts")).openPulsar(url),
  mqtt: async (url) => (await import("./mqtt.ts")).openMqtt(url),
};

/** Runs `work` with a broker; resolves to why not where it does not answer. */
export async function withBroker<Result>(name: BrokerName, work: (broker: StreamBroker) => Promise<Result>): Promise<Result | string> {
  const { url } = services[name];
  if (!(await answers(url))) return `skipped: no answer from ${name}; start it with scripts/services start ${name}`;
  const broker = await opening[name](url);
  try {
    return await work(broker);
  } finally {
    await broker.close();
  }
}

function answers(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    const settle = (isUp: boolean): void => {
      socket.destroy();
      resolve(isUp);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
  });
}
