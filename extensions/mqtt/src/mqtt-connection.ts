import { mqttBinding } from "@event-driver/cloudevents/bindings";
import { type Connection, createConnection } from "event-driver/streams";

import { MqttTransport } from "./mqtt-transport.ts";
import { type MqttConnectionOptions, type MqttNative, settingsOf } from "./options.ts";

/**
 * A connection to an MQTT 5 broker: shared subscriptions in persistent sessions, acknowledged after the handler.
 *
 * Use it where devices or a broker speak MQTT. Where messages have to be kept for those who come later, or in order over several processes, use a broker
 * with a log.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; `ERR_CONNECTION_FAILED` when no broker answers in time, or one refuses; `ERR_UNSUPPORTED` when it cannot do
 * what is asked
 * @example
 * const connection = await mqttConnection({ url: "mqtt://localhost" });
 * await connection.subscribe("orders", orders, { deadLetter: "orders-failed" });
 */
export async function mqttConnection(options: MqttConnectionOptions): Promise<Connection<MqttNative>> {
  const settings = settingsOf(options);
  const transport = new MqttTransport(settings, mqttBinding(options));
  try {
    const connection = createConnection(transport, options);
    await transport.open();
    return connection;
  } catch (error) {
    transport.abandon();
    throw error;
  }
}
