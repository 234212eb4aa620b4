import type { ConnectionOptions, Connection } from "event-driver/streams";

type Connect = (url: string, options: ConnectionOptions) => Promise<Connection>;

/** Who speaks to the broker of an address. Each is loaded only when it is asked for: the others need not be installed. */
const brokers: Readonly<Record<string, Connect>> = {
  "nats:": async (url, options) => (await import("@event-driver/nats")).natsConnection({ url, ...options }),
  "kafka:": async (url, options) => (await import("@event-driver/kafka")).kafkaConnection({ url, ...options }),
  "pulsar+ws:": async (url, options) => (await import("@event-driver/pulsar")).pulsarConnection({ url, ...options }),
  "amqp:": async (url, options) => (await import("@event-driver/rabbitmq")).rabbitmqConnection({ url, ...options }),
  "mqtt:": async (url, options) => (await import("@event-driver/mqtt")).mqttConnection({ url, ...options }),
};

/** A connection to the broker that SOURCE names. */
export async function openSource(address: string, options: ConnectionOptions): Promise<Connection> {
  const scheme = address.slice(0, address.indexOf("://") + 1);
  const connect = brokers[scheme];
  if (connect !== undefined) return connect(address, options);
  const allowed = Object.keys(brokers).map((each) => `${each}//HOST:PORT`);
  // Not the address itself: it may hold a password.
  throw new Error(`SOURCE begins with "${scheme}", allowed are ${allowed.join(", ")}`);
}
