import { pulsarConnection } from "@event-driver/pulsar";
import { once } from "node:events";
import { WebSocket } from "ws";

import { inFlight, inLanes, type StreamBroker, type StreamClient, type StreamConsumer } from "./clients.ts";
import { contentType, eventType } from "./messages.ts";

/** Pulsar, and its WebSocket API as one would use it by hand. */
export async function openPulsar(url: string): Promise<StreamBroker> {
  const connection = await pulsarConnection({ url });
  const { host } = new URL(url);
  const addressOf = (kind: "producer" | "consumer", rest: string): string => `ws://${host}/ws/v2/${kind}/persistent/public/default/${rest}`;
  const consumption = `subscriptionType=Key_Shared&subscriptionInitialPosition=Earliest&receiverQueueSize=${inFlight}`;

  const producers = new Map<string, Promise<WebSocket>>();
  const answers = new Map<string, () => void>();
  const producerOf = (stream: string): Promise<WebSocket> => {
    const producer =
      producers.get(stream) ??
      open(addressOf("producer", stream), (_socket, { context }) => {
        answers.get(context)?.();
        answers.delete(context);
      });
    producers.set(stream, producer);
    return producer;
  };

  const consumer = (name: string, read: (received: Received) => unknown): StreamConsumer => ({
    name,
    async prepare() {},
    async consume(stream, position, handle) {
      const address = addressOf("consumer", `${stream}/${position}?${consumption}`);
      const opened = await open(address, (socket, received) => {
        handle(read(received));
        socket.send(JSON.stringify({ messageId: received.messageId }));
      });
      return () => close(opened);
    },
  });
  const bare: StreamClient = {
    ...consumer("ws", ({ payload }) => Buffer.from(payload, "base64")),
    async publish(stream, messages) {
      const producer = await producerOf(stream);
      await inLanes(messages, inFlight, ({ id, key, source, time = "", content }) => {
        const properties = {
          ce_specversion: "1.0",
          ce_id: id,
          ce_source: source,
          ce_type: eventType,
          ce_time: time,
          "content-type": contentType,
        };
        producer.send(JSON.stringify({ payload: Buffer.from(content).toString("base64"), properties, key, context: id }));
        return new Promise<void>((resolve) => answers.set(id, resolve));
      });
    },
  };
  return {
    connection,
    bare,
    reading: consumer("ws, reading the event", eventOf),
    others: [],
    isLog: true,
    async remove(stream) {
      const producer = producers.get(stream);
      producers.delete(stream);
      if (producer !== undefined) await close(await producer);
      await fetch(`http://${host}/admin/v2/persistent/public/default/${stream}?force=true`, { method: "DELETE" });
    },
    close: () => connection.close(),
  };
}

interface Received {
  readonly context: string;
  readonly messageId: string;
  readonly key: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly payload: string;
}

function eventOf({ key, properties, payload }: Received): unknown {
  const { ce_id: id, ce_source: source, ce_type: type, ce_time: time } = properties;
  return { id, key, source, type, time, content: Buffer.from(payload, "base64").toString() };
}

async function open(address: string, onMessage: (socket: WebSocket, received: Received) => void): Promise<WebSocket> {
  const socket = new WebSocket(address, { perMessageDeflate: false });
  socket.on("message", (data) => {
    if (Buffer.isBuffer(data)) onMessage(socket, JSON.parse(data.toString()));
  });
  await once(socket, "open");
  return socket;
}

async function close(socket: WebSocket): Promise<void> {
  const closed = once(socket, "close");
  socket.close();
  await closed;
}
