import type { RabbitmqConnectionOptions, RabbitmqNative } from "@event-driver/rabbitmq";
import type { Message } from "event-driver";
import type { Connection } from "event-driver/streams";

import { rabbitmqConnection } from "@event-driver/rabbitmq";
import { createMessage } from "event-driver";
import { type Channel, Connection as Client } from "rabbitmq-client";
import { onTestFinished, vi } from "vitest";

import { services } from "../../../test/services.ts";
import { forTests } from "./handles.ts";

/** A connection that the end of the test closes. */
export async function connected(options: Partial<RabbitmqConnectionOptions> = {}): Promise<Connection<RabbitmqNative>> {
  const connection = await rabbitmqConnection({ url: services.rabbitmq.url, queueArguments: forTests, ...options });
  onTestFinished(() => connection.close({ limit: 0 }));
  return connection;
}

/** Asks the broker past this package. Each time on a channel of its own, for a refusal closes it. */
export async function asked<Answer>(question: (channel: Channel) => Promise<Answer>, url: string = services.rabbitmq.url): Promise<Answer> {
  const client = new Client(url);
  try {
    return await question(await client.acquire());
  } finally {
    client.unsafeDestroy();
  }
}

/** Whether the queue is there. */
export function hasQueue(queue: string): Promise<boolean> {
  return asked((channel) =>
    channel.queueDeclare({ queue, passive: true }).then(
      () => true,
      () => false,
    ),
  );
}

export function order(id: string, key: string = "order-1"): Message {
  return createMessage({ id, key, source: "shop", content: `content of ${id}` });
}

export function orders(count: number, keys: number): readonly Message[] {
  return Array.from({ length: count }, (_, index) => order(String(index), `order-${index % keys}`));
}

/** Waits for what the broker does in its own time, also on a loaded machine. */
export function until(isSo: () => void | Promise<void>, timeout: number = 30_000): Promise<void> {
  return vi.waitFor(isSo, { timeout, interval: 10 });
}

/** A handler that keeps the ids of what it is given. */
export function collector(): { readonly ids: string[]; readonly handle: (ctx: unknown, message: Message) => Promise<void> } {
  const ids: string[] = [];
  return { ids, handle: async (_ctx, message) => void ids.push(message.id) };
}
