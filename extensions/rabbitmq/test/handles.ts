import type { RabbitmqConnectionOptions, RabbitmqNative } from "@event-driver/rabbitmq";
import type { Connection } from "event-driver/streams";
import type { ConnectionKitOptions } from "event-driver/testing";

import { rabbitmqConnection, rabbitmqFeatures } from "@event-driver/rabbitmq";
import { Connection as Client } from "rabbitmq-client";

import { services } from "../../../test/services.ts";
import { type ToxicProxy, toxicProxy } from "../../../test/toxic-proxy.ts";

/** So that the shared broker is left as it was, in the end. */
export const forTests = { "x-expires": 600_000 };

/** What the conformance kit needs, over the shared broker: each connection by way of a proxy of its own, which can be taken away. */
export function rabbitmqHandles(options: Omit<RabbitmqConnectionOptions, "url"> = {}): Omit<ConnectionKitOptions, "test"> {
  const proxies = new WeakMap<Connection, ToxicProxy>();

  const open = async (): Promise<Connection<RabbitmqNative>> => {
    const proxy = await toxicProxy(services.rabbitmq.url);
    const connection = await rabbitmqConnection({
      url: proxy.url,
      clientOptions: { retryHigh: 500 },
      queueArguments: forTests,
      ...options,
    });
    proxies.set(connection, proxy);
    return connection;
  };
  return {
    open,
    openAnother: open,
    features: {
      ...rabbitmqFeatures,
      keyOrder: options.singleActiveConsumer === true || options.partitions !== undefined ? "group" : "subscription",
    },
    crash: (connection) => proxies.get(connection)?.cut(),
    async outage(connection) {
      const proxy = proxies.get(connection);
      await proxy?.cut();
      return () => proxy?.mend();
    },
    poison: (_connection, stream) => publishRaw(stream, { headers: { "cloudEvents:specversion": "1.0" }, body: Buffer.from("{") }),
    patience: 15_000,
  };
}

/** Publishes what this package would not. The exchange is that of a stream whose name needs no encoding. */
export async function publishRaw(
  exchange: string,
  { body, ...properties }: { readonly headers?: object; readonly contentType?: string; readonly messageId?: string; readonly body: Buffer },
): Promise<void> {
  const client = new Client(services.rabbitmq.url);
  const channel = await client.acquire();
  await channel.confirmSelect();
  await channel.basicPublish({ exchange, routingKey: "", ...properties }, body);
  await channel.close();
  await client.close();
}
