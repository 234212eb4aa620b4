import { Admin, type AdminOptions, ConnectionPool, Consumer, Producer } from "@platformatic/kafka";

import type { KafkaSettings } from "./options.ts";

type ClientSettings = Pick<KafkaSettings, "servers" | "clientOptions" | "connectTimeout" | "group">;

export function adminClient(settings: ClientSettings): Admin {
  return new Admin({ ...baseOf(settings), retries: 3, retryDelay: 250 });
}

/** Knows the cluster, and holds a connection to each broker that is published to. What is sent over them, and sent again, is not its own. */
export function publishingClient(settings: ClientSettings): Producer {
  return new Producer({ ...baseOf(settings), retries: 3, retryDelay: 250 });
}

export function transactionalProducer(settings: ClientSettings, transactionalId: string): Producer {
  return new Producer({
    ...baseOf(settings),
    idempotent: true,
    transactionalId,
    // For so many milliseconds readers wait for a transaction whose process has died.
    timeout: 10_000,
    retries: 20,
    retryDelay: 100,
  });
}

/** Of its own: a broker answers the requests of one connection in turn, and a fetch may wait for long. */
export function fetchPool({ clientOptions, connectTimeout }: ClientSettings): ConnectionPool {
  return new ConnectionPool(clientOptions.clientId, { connectTimeout, ...clientOptions });
}

/**
 * A member of a group that has not joined yet. `beforeJoin` is waited for each time before it asks to be let in.
 *
 * The client tries nothing again by itself. After a commit that the group has refused it would join anew and commit the same for partitions that went
 * elsewhere; see `#commit` in its consumer.js.
 */
export function groupConsumer(
  settings: ClientSettings,
  groupId: string,
  instanceId: string | undefined,
  beforeJoin: () => Promise<void>,
): Consumer {
  const { sessionTimeout, heartbeatInterval } = settings.group;
  return new Consumer({
    ...baseOf(settings),
    groupId,
    ...(instanceId !== undefined && { groupInstanceId: instanceId }),
    groupProtocol: "classic",
    protocols: [{ name: "cooperative-sticky", version: 3 }],
    // The one place where the client waits before it joins. What a member says of itself there is nothing.
    async protocolsMetadata() {
      await beforeJoin();
      return Buffer.alloc(0);
    },
    sessionTimeout,
    rebalanceTimeout: Math.max(60_000, sessionTimeout),
    heartbeatInterval,
    heartbeatStallTimeout: sessionTimeout,
    autocommit: false,
    retries: 0,
  });
}

function baseOf({ servers, clientOptions, connectTimeout }: ClientSettings): AdminOptions {
  return { connectTimeout, ...clientOptions, bootstrapBrokers: [...servers] };
}
