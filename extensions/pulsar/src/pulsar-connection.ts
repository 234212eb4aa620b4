import type { BackfillStart, Connection, ConnectionFeatures, Transport, TransportListener } from "event-driver/streams";

import { pulsarBinding } from "@event-driver/cloudevents/bindings";
import { EventDriverError, quote, sleep } from "event-driver";
import { createConnection, untrustedServer } from "event-driver/streams";

import { Admin } from "./admin.ts";
import { Lag } from "./lag.ts";
import { Presence } from "./link.ts";
import { pulsarName } from "./names.ts";
import { type PulsarConnectionOptions, type PulsarNative, type PulsarSettings, settingsOf } from "./options.ts";
import { Producer } from "./producer.ts";
import { Subscriber } from "./subscriber.ts";

/** What Pulsar can do over its WebSocket API, where the administration is within reach. */
export const pulsarFeatures: ConnectionFeatures = {
  durable: true,
  // Pulsar forgets one of its own with the socket, and with it what is published before the next one is open.
  transient: false,
  backfill: ["all", "time", "position"],
  reset: true,
  serial: true,
  keyOrder: "group",
  // It has one per subscriber, counted in the WebSocket proxy, which cannot be extended and goes on counting what was taken back.
  ackWait: "none",
  // One delay for all that a subscriber gives back.
  delay: false,
  // It counts what was given back, and not what came back because its subscriber had gone.
  attempts: false,
  expiry: false,
};

/** Over the socket alone a position begins at one end or the other. */
const socketOnly: Pick<ConnectionFeatures, "backfill" | "reset"> = { backfill: ["all"] satisfies BackfillStart[], reset: false };

/**
 * A connection to Apache Pulsar, over its WebSocket API.
 *
 * Resolves when a server has answered. From then on it comes back by itself, for ever.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; `ERR_CONNECTION_FAILED` when nobody answers within `connectTimeout`, or lets nobody in; `ERR_TOPOLOGY` where
 * there is no such namespace
 * @example
 * const connection = await pulsarConnection({ url: "pulsar+ws://localhost:8080" });
 * await connection.subscribe("orders", orders);
 * await connection.publish("orders", createMessage({ key: "order-1", source: "shop", content: "{}" }));
 */
export async function pulsarConnection(options: PulsarConnectionOptions): Promise<Connection<PulsarNative>> {
  const settings = settingsOf(options);
  const transport = pulsarTransport(settings, options);
  await greeted(settings);
  return createConnection(transport, options);
}

function pulsarTransport(settings: PulsarSettings, options: PulsarConnectionOptions): Transport<PulsarNative> {
  const binding = pulsarBinding(options);
  const admin = new Admin(settings);
  const presence = new Presence();
  const producers = new Map<string, Producer>();
  const subscribers = new Set<Subscriber>();
  let tellLag: TransportListener["lag"] = () => {};
  const lag = new Lag({ settings, admin, subscribers, tell: (details) => tellLag(details) });
  let isClosed = false;

  const producerOf = (stream: string): Producer => {
    const known = producers.get(stream);
    if (known !== undefined) return known;
    const producer = new Producer({ topic: pulsarName(stream), settings, presence, admin });
    producers.set(stream, producer);
    return producer;
  };
  return {
    name: "Pulsar",
    features: admin.isThere ? pulsarFeatures : { ...pulsarFeatures, ...socketOnly },
    keepsPublishOrder: true,
    async publish(stream, message, { signal }) {
      if (isClosed) throw closed(`message ${quote(message.id)} was not published`);
      const deliverAt = settings.deliverAt(stream, message);
      await producerOf(stream).publish({ id: message.id, record: binding.write(message), deliverAt, signal });
    },
    async subscribe(request, sink) {
      if (isClosed) throw closed(`stream ${quote(request.stream)} was not subscribed to`);
      const subscriber = new Subscriber({ request, sink, settings, presence, admin, binding });
      subscribers.add(subscriber);
      try {
        await subscriber.open();
      } catch (error) {
        subscribers.delete(subscriber);
        await subscriber.close();
        throw error;
      }
      lag.start();
      const leaving = (leave: () => Promise<void>) => async (): Promise<void> => {
        subscribers.delete(subscriber);
        await leave();
      };
      return {
        stop: () => subscriber.stop(),
        close: leaving(() => subscriber.close()),
        forget: leaving(() => subscriber.forget()),
      };
    },
    observe(listener) {
      presence.observe((state) => listener.state({ state }));
      tellLag = listener.lag;
    },
    async close() {
      isClosed = true;
      lag.stop();
      await Promise.all([...subscribers, ...producers.values()].map((each) => each.close()));
    },
  };
}

/** Tries until `connectTimeout`: a broker that is being started is not ready at once. */
async function greeted(settings: PulsarSettings): Promise<void> {
  const { clock, connectTimeout } = settings;
  const admin = new Admin(settings);
  const giveUpAt = clock.now() + connectTimeout;
  for (let pause = 50; ; pause = Math.min(1_000, 2 * pause)) {
    try {
      return await admin.greet();
    } catch (error) {
      if (error instanceof EventDriverError) throw error;
      const untrusted = untrustedServer(`Pulsar at ${placesOf(settings)}`, "clientOptions.ca", error);
      if (untrusted !== undefined) throw untrusted;
      if (clock.now() + pause >= giveUpAt) throw notReached(settings, error);
    }
    await sleep(clock, pause);
  }
}

function notReached(settings: PulsarSettings, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_FAILED", {
    message: `Pulsar at ${placesOf(settings)} has not answered within ${settings.connectTimeout} ms; see that it runs, and that webSocketServiceEnabled is true`,
    retryable: true,
    cause,
  });
}

function placesOf({ servers }: PulsarSettings): string {
  return servers.map(({ host }) => host).join(", ");
}

function closed(what: string): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_CLOSED", {
    message: `the connection to Pulsar is closed: ${what}; another process may do it`,
    retryable: true,
  });
}
