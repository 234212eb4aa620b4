import type { RabbitmqConnectionOptions } from "./options.ts";
import type { RabbitmqNative } from "./topology.ts";

import { amqpBinding } from "@event-driver/cloudevents/bindings";
import { EventDriverError, silentLogger, systemClock } from "event-driver";
import { type Connection, createConnection } from "event-driver/streams";

import { Link } from "./link.ts";
import { settingsOf } from "./options.ts";
import { RabbitmqTransport } from "./rabbitmq-transport.ts";

/**
 * A connection to RabbitMQ: streams are exchanges, each name of a subscription is a quorum queue. Resolves when the broker has answered.
 *
 * Use it where RabbitMQ is there already, or where work is shared between many workers and each message is settled by itself. It keeps no history: a new name
 * begins with what is published from then on.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; `ERR_CONNECTION_FAILED` when the broker does not answer within `connectTimeout`, or refuses the login
 * @example
 * const connection = await rabbitmqConnection({ url: "amqp://localhost" });
 * await connection.subscribe("orders", orders);
 */
export async function rabbitmqConnection(options: RabbitmqConnectionOptions): Promise<Connection<RabbitmqNative>> {
  const settings = settingsOf(options);
  const { logger = silentLogger, clock = systemClock, mode, foreign, keyFrom, ...others } = options;
  const binding = amqpBinding({ mode, foreign, ...(keyFrom !== undefined && { keyFrom }) });
  const openLink = (): Link => new Link({ client: settings.client, servers: settings.servers, logger, clock });
  const link = openedWith(openLink);
  try {
    const transport = new RabbitmqTransport({ settings, binding, link, openLink, logger, clock });
    const connection = createConnection(transport, { ...others, logger, clock });
    await link.firstUp(settings.connectTimeout);
    return connection;
  } catch (error) {
    await link.close();
    throw error;
  }
}

/** The client checks its own options. */
function openedWith(openLink: () => Link): Link {
  try {
    return openLink();
  } catch (cause) {
    throw new EventDriverError("ERR_INVALID_OPTION", {
      message: "rabbitmqConnection: clientOptions are refused by rabbitmq-client, which says why in the cause",
      retryable: false,
      cause,
    });
  }
}
