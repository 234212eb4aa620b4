import { natsConnection } from "@event-driver/nats";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, headers } from "@nats-io/transport-node";

import { inFlight, inLanes, type StreamBroker, type StreamClient } from "./clients.ts";
import { contentType, eventType } from "./messages.ts";

/** NATS JetStream, and its client as one would use it by hand. */
export async function openNats(url: string): Promise<StreamBroker> {
  const connection = await natsConnection({ url });
  const client = await connect({ servers: url, noAsyncTraces: true });
  const manager = await jetstreamManager(client);
  const stream = jetstream(client);

  const bare: StreamClient = {
    name: "@nats-io/jetstream",
    publish: (subject, messages) =>
      inLanes(messages, inFlight, ({ id, key, source, time = "", content }) => {
        const fields = headers();
        fields.set("ce-specversion", "1.0");
        fields.set("ce-id", id);
        fields.set("ce-source", source);
        fields.set("ce-type", eventType);
        fields.set("ce-time", time);
        fields.set("ce-key", key);
        fields.set("ce-datacontenttype", contentType);
        return stream.publish(subject, content, { msgID: id, headers: fields });
      }),
    async prepare() {},
    async consume(name, position, handle) {
      await manager.consumers.add(name, {
        durable_name: position,
        ack_policy: "explicit",
        deliver_policy: "all",
        max_ack_pending: inFlight,
      });
      const consumer = await stream.consumers.get(name, position);
      const messages = await consumer.consume({
        max_messages: inFlight,
        callback(message) {
          handle();
          message.ack();
        },
      });
      return async () => {
        await messages.close();
        await client.flush();
        await consumer.delete();
      };
    },
  };
  return {
    connection,
    bare,
    others: [],
    isLog: true,
    remove: async (name) => void (await manager.streams.delete(name)),
    async close() {
      await connection.close();
      await client.close();
    },
  };
}
