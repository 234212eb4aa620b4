import { pulsarConnection } from "@event-driver/pulsar";
import { once } from "node:events";
import { WebSocket } from "ws";

import { inFlight, inLanes, type StreamBroker, type StreamClient } from "./clients.ts";
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

  const bare: StreamClient = {
    name: "ws",
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
    async prepare() {},
    async consume(stream, position, handle) {
      const socket = await open(addressOf("consumer", `${stream}/${position}?${consumption}`), (consumer, { messageId, payload }) => {
        Buffer.from(payload, "base64");
        handle();
        consumer.send(JSON.stringify({ messageId }));
      });
      return () => close(socket);
    },
  };
  return {
    connection,
    bare,
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
  readonly payload: string;
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
