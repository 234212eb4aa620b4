import type { ConnectionOptions, Connection } from "event-driver/streams";

type Connect = (url: string, options: ConnectionOptions) => Promise<Connection>;

const nats: Connect = async (url, options) => (await import("@event-driver/nats")).natsConnection({ url, ...options });
const kafka: Connect = async (url, options) => (await import("@event-driver/kafka")).kafkaConnection({ ...kafkaOptions(url), ...options });
const pulsar: Connect = async (url, options) => (await import("@event-driver/pulsar")).pulsarConnection({ url, ...options });
const rabbitmq: Connect = async (url, options) => (await import("@event-driver/rabbitmq")).rabbitmqConnection({ url, ...options });
const mqtt: Connect = async (url, options) => (await import("@event-driver/mqtt")).mqttConnection({ url, ...options });

/** Who speaks to the broker of an address. Each is loaded only when it is asked for: the others need not be installed. */
const brokers: ReadonlyMap<string, Connect> = new Map([
  ["nats:", nats],
  ["tls:", nats],
  ["kafka:", kafka],
  ["kafkas:", kafka],
  ["pulsar+ws:", pulsar],
  ["pulsar+wss:", pulsar],
  ["amqp:", rabbitmq],
  ["amqps:", rabbitmq],
  ["mqtt:", mqtt],
  ["mqtts:", mqtt],
]);

/**
 * A connection to the broker that SOURCE names: with TLS and `user:password@` where the broker wants them, which Pulsar does not.
 *
 * For Kafka it may end in `?sessionTimeout=6000`: so many milliseconds the others wait for a process that has died, and 45,000 without it.
 */
export async function openSource(address: string, options: ConnectionOptions): Promise<Connection> {
  const scheme = address.slice(0, address.indexOf("://") + 1);
  const connect = brokers.get(scheme);
  if (connect !== undefined) return connect(address, options);
  const allowed = Array.from(brokers.keys(), (each) => `${each}//HOST:PORT`);
  // Not the address itself: it may hold a password.
  throw new Error(`SOURCE begins with "${scheme}", allowed are ${allowed.join(", ")}`);
}

function kafkaOptions(address: string): { readonly url: string; readonly group?: { readonly sessionTimeout: number } } {
  const [url = "", query] = address.split("?", 2);
  const parameters = new URLSearchParams(query);
  const timeout = parameters.get("sessionTimeout");
  if (timeout === null) return { url: address };
  parameters.delete("sessionTimeout");
  return { url: parameters.size > 0 ? `${url}?${parameters.toString()}` : url, group: { sessionTimeout: Number(timeout) } };
}
