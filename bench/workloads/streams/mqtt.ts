import { mqttConnection } from "@event-driver/mqtt";
import { connectAsync, type IClientOptions, type IPublishPacket, type MqttClient } from "mqtt";

import { inFlight, inLanes, type StreamBroker, type StreamClient, type StreamConsumer } from "./clients.ts";
import { contentType, eventType } from "./messages.ts";

/** Seconds that the broker keeps a session. */
const sessionExpiry = 600;

/** MQTT 5, and the client that ours stands on as one would use it by hand. */
export async function openMqtt(url: string): Promise<StreamBroker> {
  const connection = await mqttConnection({ url });
  const publisher = await connectAsync(url, { protocolVersion: 5 });

  const bare: StreamClient = {
    ...consumer("mqtt", url, (packet) => packet),
    publish: (topic, messages) =>
      inLanes(messages, inFlight, ({ id, key, source, time = "", content }) =>
        publisher.publishAsync(topic, Buffer.from(content), {
          qos: 1,
          properties: {
            contentType,
            userProperties: { specversion: "1.0", id, source, type: eventType, time, key },
          },
        }),
      ),
  };
  return {
    connection,
    bare,
    reading: consumer("mqtt, reading the event", url, eventOf),
    others: [],
    isLog: false,
    // What is left is a session, which ends by itself.
    async remove() {},
    async close() {
      await connection.close();
      await publisher.endAsync();
    },
  };
}

function consumer(name: string, url: string, read: (packet: IPublishPacket) => unknown): StreamConsumer {
  return {
    name,
    async prepare(topic, position) {
      const client = await openSession(url, position);
      await client.subscribeAsync(`$share/${position}/${topic}`, { qos: 1 });
      await client.endAsync();
    },
    async consume(_topic, position, handle) {
      const client = await openSession(url, position, (packet) => handle(read(packet)));
      return () => client.endAsync(false, { properties: { sessionExpiryInterval: 0 } });
    },
  };
}

/** The session that is a position. What waits in it comes as soon as it is opened, so whoever handles that must be there before. */
async function openSession(url: string, clientId: string, handle?: (packet: IPublishPacket) => void): Promise<MqttClient> {
  const options: IClientOptions = {
    protocolVersion: 5,
    clientId,
    clean: false,
    properties: { sessionExpiryInterval: sessionExpiry, receiveMaximum: inFlight },
    ...(handle !== undefined && {
      // It acknowledges when this has called back.
      customHandleAcks: (_topic, _message, packet, done) => {
        handle(packet);
        done(0);
      },
    }),
  };
  return connectAsync(url, options);
}

function eventOf({ properties, payload }: IPublishPacket): unknown {
  const { id, key, source, type, time } = properties?.userProperties ?? {};
  return { id, key, source, type, time, content: payload.toString() };
}
