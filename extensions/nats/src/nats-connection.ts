import type { Connection } from "event-driver/streams";

import { natsBinding } from "@event-driver/cloudevents/bindings";
import { jetstreamManager } from "@nats-io/jetstream";
import { silentLogger, systemClock } from "event-driver";
import { createConnection } from "event-driver/streams";

import { openLink } from "./link.ts";
import { NatsTransport } from "./nats-transport.ts";
import { type NatsConnectionOptions, type NatsNative, settingsOf } from "./options.ts";
import { Topology } from "./topology.ts";

/**
 * A connection to the streams of NATS JetStream.
 *
 * Use it for streams that several processes share. Resolves when a server has answered; afterwards it comes back for ever.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; `ERR_CONNECTION_FAILED` when no server answers within `connectTimeout`; `ERR_UNSUPPORTED` for a server older
 * than 2.11, or one without JetStream
 * @example
 * const connection = await natsConnection({ url: "nats://localhost:4222" });
 * await connection.subscribe("orders", orders, { deadLetter: "orders-failed" });
 */
export async function natsConnection(options: NatsConnectionOptions): Promise<Connection<NatsNative>> {
  const settings = settingsOf(options);
  const { logger = silentLogger, clock = systemClock } = options;
  const binding = natsBinding(options);
  const link = await openLink({ ...settings, clock, logger });
  try {
    const manager = await jetstreamManager(link.client, { apiPrefix: settings.apiPrefix, checkAPI: false });
    const topology = new Topology(link, manager, settings);
    return createConnection(new NatsTransport({ link, manager, topology, binding, settings, clock, logger }), options);
  } catch (error) {
    await link.close();
    throw error;
  }
}
