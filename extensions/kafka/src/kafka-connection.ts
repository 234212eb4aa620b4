import { kafkaBinding } from "@event-driver/cloudevents/bindings";
import { EventDriverError, type PassThrough } from "event-driver";
import { type Connection, type ConnectionFeatures, createConnection } from "event-driver/streams";

import { type KafkaConnectionOptions, type KafkaNative, type KafkaSettings, settingsOf } from "./options.ts";
import { KafkaTransport } from "./kafka-transport.ts";
import { isRefusal, notTrusted } from "./failures.ts";

/** What a connection to Kafka can do. With `retryTopics` its `delay` is true. */
export const kafkaFeatures: ConnectionFeatures = {
  durable: true,
  transient: true,
  backfill: ["all", "time", "position"],
  reset: true,
  serial: false,
  keyOrder: "group",
  ackWait: "none",
  delay: false,
  attempts: false,
  expiry: false,
};

/** A connection to Kafka, and what only that has. */
export interface KafkaConnection extends Connection<KafkaNative> {
  /** A stage to put in front of those that publish with `transactionOf(ctx)`, in a subscription with `native: { transactional: true }`. */
  transactional(): PassThrough;
}

/**
 * A connection to a Kafka cluster: topics as streams, consumer groups as names, keys in order over all members of a group.
 *
 * Resolves when a broker has answered. From then on it comes back for ever by itself.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; `ERR_CONNECTION_FAILED` when no broker answers within `connectTimeout`
 * @example
 * const connection = await kafkaConnection({ url: "kafka://localhost:9092" });
 * await connection.subscribe("orders", orders, { name: "billing" });
 */
export async function kafkaConnection(options: KafkaConnectionOptions): Promise<KafkaConnection> {
  const settings = settingsOf(options);
  const { mode, foreign, keyFrom } = options;
  const transport = new KafkaTransport({
    settings,
    features: { ...kafkaFeatures, delay: settings.retryTopics !== undefined },
    binding: kafkaBinding({ mode, foreign, keyFrom }),
  });
  const connection = Object.assign(createConnection(transport, options), { transactional: () => transport.transactional() });
  try {
    await opened(transport, settings);
    return connection;
  } catch (error) {
    await connection.close({ limit: 0 });
    throw notTrusted(settings, error) ?? notConnected(settings, error);
  }
}

async function opened(transport: KafkaTransport, { clock, connectTimeout }: KafkaSettings): Promise<void> {
  const late = new AbortController();
  const cancel = clock.after(connectTimeout, () => late.abort(new Error(`no answer within ${connectTimeout} ms`)));
  const isLate = new Promise<never>((_resolve, reject) => {
    // What was tried last has until the next turn to say what was wrong.
    late.signal.addEventListener("abort", () => clock.after(0, () => reject(late.signal.reason)), { once: true });
  });
  try {
    await Promise.race([transport.open(late.signal), isLate]);
  } finally {
    cancel();
  }
}

function notConnected({ servers }: KafkaSettings, cause: unknown): EventDriverError {
  const refused = isRefusal(cause);
  const what = refused ? "refuses us; check the credentials" : "answers; check the address and TLS, or try again when one is up";
  return new EventDriverError("ERR_CONNECTION_FAILED", {
    message: `${refused ? "a" : "no"} Kafka broker at ${servers.join(", ")} ${what}`,
    retryable: !refused,
    cause,
  });
}
