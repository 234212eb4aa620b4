import { rabbitmqConnection } from "@event-driver/rabbitmq";
import { type AsyncMessage, Connection, ConsumerStatus } from "rabbitmq-client";
import { once } from "node:events";

import { inFlight, inLanes, type StreamBroker, type StreamClient, type StreamConsumer } from "./clients.ts";
import { contentType, eventType } from "./messages.ts";
import { nestOnRabbitmq } from "./nest.ts";

/** RabbitMQ, the client that ours stands on as one would use it by hand, and what else reads it. */
export async function openRabbitmq(url: string): Promise<StreamBroker> {
  const connection = await rabbitmqConnection({ url });
  const client = new Connection(url);
  const publisher = client.createPublisher({ confirm: true });
  const queueOf = (stream: string, position: string): string => `${stream}#${position}`;

  const queues: string[] = [];
  /** A queue of the same kind as those of the connection, at the exchange of the stream. */
  const prepare = async (stream: string, position: string): Promise<void> => {
    const queue = queueOf(stream, position);
    queues.push(queue);
    await client.queueDeclare({ queue, durable: true, arguments: { "x-queue-type": "quorum" } });
    await client.queueBind({ queue, exchange: stream, routingKey: "" });
  };

  const consumer = (name: string, read: (message: AsyncMessage) => unknown): StreamConsumer => ({
    name,
    prepare,
    async consume(stream, position, handle) {
      const opened = client.createConsumer(
        { queue: queueOf(stream, position), queueOptions: { passive: true }, qos: { prefetchCount: inFlight } },
        (message) => {
          handle(read(message));
          return ConsumerStatus.ACK;
        },
      );
      await once(opened, "ready");
      return () => opened.close();
    },
  });
  const bare: StreamClient = {
    ...consumer("rabbitmq-client", (message) => message),
    publish: (exchange, messages) =>
      inLanes(messages, inFlight, ({ id, key, source, time = "", content }) =>
        publisher.send(
          {
            exchange,
            routingKey: key,
            messageId: id,
            durable: true,
            contentType,
            headers: {
              "cloudEvents:specversion": "1.0",
              "cloudEvents:id": id,
              "cloudEvents:source": source,
              "cloudEvents:type": eventType,
              "cloudEvents:time": time,
              "cloudEvents:key": key,
            },
          },
          Buffer.from(content),
        ),
      ),
  };
  return {
    connection,
    bare,
    reading: consumer("rabbitmq-client, reading the event", eventOf),
    isLog: false,
    others: [nestOnRabbitmq(url, queueOf, prepare)],
    async remove(stream) {
      for (const queue of queues.splice(0)) await client.queueDelete({ queue });
      await client.exchangeDelete({ exchange: stream });
    },
    async close() {
      await connection.close();
      await publisher.close();
      await client.close();
    },
  };
}

/** The client has read the JSON of the content already: it does that for whoever says that it is some. */
function eventOf({ headers = {}, body }: AsyncMessage): unknown {
  return {
    id: headers["cloudEvents:id"],
    key: headers["cloudEvents:key"],
    source: headers["cloudEvents:source"],
    type: headers["cloudEvents:type"],
    time: headers["cloudEvents:time"],
    content: body,
  };
}
