import type { Connection, SubscribeOptions, Target } from "../../../src/streams/index.ts";
import type { BadTransport } from "./bad-transport.ts";

/** Connections that break what does not depend on their transport. */
export const badConnections: readonly BadTransport[] = [
  {
    flaw: "more is declared than is true",
    caughtBy: ["features are those that the connection is tested for"],
    alter: (transport) => ({ ...transport, features: { ...transport.features, expiry: false } }),
  },
  subscribing("all keys wait for each other", (target, options) => [target, { ...options, concurrency: 1 }], [
    "different keys are worked on side by side",
  ]),
  subscribing("delays in memory are ignored", (target, options) => [target, { ...options, retry: { delays: [0, 0, 0, 0] } }], [
    "a failed message is not delivered again before its delay is over: order by key",
  ]),
  subscribing("failures are swallowed", (target, options) => [swallowing(target), options], [
    "without a dead-letter stream a failed message is tried on, and never dropped",
    "a message whose handler fails is delivered again, also many times",
  ]),
  {
    flaw: "a stream without a name has one",
    caughtBy: ["a stream without a name is refused"],
    alterConnection: (connection) =>
      altered(connection, { publish: (stream, ...given) => connection.publish(stream === "" ? "nameless" : stream, ...given) }),
  },
  {
    flaw: "what is published after close is dropped",
    caughtBy: ["calls after close reject with ERR_CONNECTION_CLOSED"],
    alterConnection: (connection) =>
      altered(connection, {
        publish: async (stream, message, options) =>
          connection.status().state === "closed" ? message.id : connection.publish(stream, message, options),
      }),
  },
];

function subscribing(
  flaw: string,
  change: (target: Target, options: SubscribeOptions | undefined) => readonly [Target, SubscribeOptions | undefined],
  caughtBy: readonly string[],
): BadTransport {
  return {
    flaw,
    caughtBy,
    alterConnection: (connection) =>
      altered(connection, {
        subscribe(stream, target, options) {
          const [otherTarget, otherOptions] = change(target, options);
          return connection.subscribe(stream, otherTarget, otherOptions);
        },
      }),
  };
}

function swallowing(target: Target): Target {
  return async (ctx, message) => {
    const run = typeof target === "function" ? target(ctx, message) : target.process(ctx, message);
    await Promise.allSettled([run]);
  };
}

function altered(connection: Connection, members: Partial<Connection>): Connection {
  return {
    broker: connection.broker,
    features: connection.features,
    publish: (...given) => connection.publish(...given),
    publishBatch: (...given) => connection.publishBatch(...given),
    subscribe: (...given) => connection.subscribe(...given),
    pull: (...given) => connection.pull(...given),
    status: () => connection.status(),
    on: (...given) => connection.on(...given),
    close: (options) => connection.close(options),
    ...members,
  };
}
