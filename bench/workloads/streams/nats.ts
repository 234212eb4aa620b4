import { natsConnection } from "@event-driver/nats";
import { type JsMsg, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, headers } from "@nats-io/transport-node";

import { inFlight, inLanes, type StreamBroker, type StreamClient, type StreamConsumer } from "./clients.ts";
import { contentType, eventType } from "./messages.ts";

/** NATS JetStream, and its client as one would use it by hand. */
export async function openNats(url: string): Promise<StreamBroker> {
  const connection = await natsConnection({ url });
  const client = await connect({ servers: url, noAsyncTraces: true });
  const manager = await jetstreamManager(client);
  const stream = jetstream(client);

  const consumer = (name: string, read: (message: JsMsg) => unknown): StreamConsumer => ({
    name,
    async prepare() {},
    async consume(place, position, handle) {
      const durable = { durable_name: position, ack_policy: "explicit", deliver_policy: "all", max_ack_pending: inFlight } as const;
      await manager.consumers.add(place, durable);
      const opened = await stream.consumers.get(place, position);
      const messages = await opened.consume({
        max_messages: inFlight,
        callback(message) {
          handle(read(message));
          message.ack();
        },
      });
      return async () => {
        await messages.close();
        await client.flush();
        await opened.delete();
      };
    },
  });
  const bare: StreamClient = {
    ...consumer("@nats-io/jetstream", (message) => message),
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
  };
  return {
    connection,
    bare,
    reading: consumer("@nats-io/jetstream, reading the event", eventOf),
    others: [],
    isLog: true,
    remove: async (name) => void (await manager.streams.delete(name)),
    async close() {
      await connection.close();
      await client.close();
    },
  };
}

function eventOf(message: JsMsg): unknown {
  const { headers: fields } = message;
  return {
    id: fields?.get("ce-id"),
    key: fields?.get("ce-key"),
    source: fields?.get("ce-source"),
    type: fields?.get("ce-type"),
    time: fields?.get("ce-time"),
    content: message.string(),
  };
}
