import { Controller, Logger, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { Ctx, EventPattern, type MicroserviceOptions, Payload, type RmqContext, Transport } from "@nestjs/microservices";

import type { Handle, StreamConsumer } from "./clients.ts";

import { inFlight } from "./clients.ts";
import { eventType } from "./messages.ts";

/** NestJS on Kafka: kafkajs's eachMessage, and Nest around it. */
export function nestOnKafka(broker: string): StreamConsumer {
  return {
    name: "NestJS, Kafka",
    async prepare() {},
    consume: (topic, groupId, handle) =>
      listen(
        { pattern: topic, onMessage: handle },
        {
          transport: Transport.KAFKA,
          options: {
            client: { clientId: "bench", brokers: [broker] },
            consumer: { groupId },
            subscribe: { fromBeginning: true },
            // Else it would parse what none of the others does.
            parser: { keepBinary: true },
          },
        },
      ),
  };
}

/** NestJS on RabbitMQ: amqplib, and Nest around it. It parses the JSON of each message; it has no option against that. */
export function nestOnRabbitmq(
  url: string,
  queueOf: (stream: string, position: string) => string,
  prepare: StreamConsumer["prepare"],
): StreamConsumer {
  const onMessage =
    (handle: Handle) =>
    (data: unknown, context: RmqContext): void => {
      handle(data);
      context.getChannelRef().ack(context.getMessage());
    };
  return {
    name: "NestJS, RabbitMQ",
    prepare,
    consume: (stream, position, handle) =>
      listen(
        { pattern: eventType, onMessage: onMessage(handle) },
        {
          transport: Transport.RMQ,
          options: {
            urls: [url],
            queue: queueOf(stream, position),
            noAssert: true,
            noAck: false,
            prefetchCount: inFlight,
            // It expects messages of its own kind.
            deserializer: { deserialize: (data: unknown) => ({ pattern: eventType, data }) },
          },
        },
      ),
  };
}

interface Route {
  readonly pattern: string;
  readonly onMessage: (data: unknown, context: RmqContext) => void;
}

/** A service of one controller. Its decorators are called by hand: Node runs these files without compiling them. */
async function listen({ pattern, onMessage }: Route, options: MicroserviceOptions): Promise<() => Promise<void>> {
  class Orders {
    place(data: unknown, context: RmqContext): void {
      onMessage(data, context);
    }
  }
  const place = Object.getOwnPropertyDescriptor(Orders.prototype, "place");
  if (place === undefined) throw new Error("a class has lost its method");
  EventPattern(pattern)(Orders.prototype, "place", place);
  Payload()(Orders.prototype, "place", 0);
  Ctx()(Orders.prototype, "place", 1);
  Controller()(Orders);
  class Service {}
  Module({ controllers: [Orders] })(Service);

  Logger.overrideLogger(false);
  const service = await NestFactory.createMicroservice<MicroserviceOptions>(Service, { ...options, logger: false });
  await service.listen();
  return () => service.close();
}
