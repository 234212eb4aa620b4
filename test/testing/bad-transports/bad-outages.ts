import type { Transport } from "../../../src/streams/index.ts";

import { type BadTransport, publishing } from "./bad-transport.ts";

/** Transports that do not bear it when their broker is out of reach for a while. */
export const badOutages: readonly BadTransport[] = [
  {
    flaw: "what is published while the broker is out of reach counts as published",
    caughtBy: ["what is published while the broker is out of reach is delivered afterwards, unless it was refused"],
    alter: (transport) =>
      whileAway(transport, (isAway) => ({
        publish: async (...given) => (isAway() ? undefined : transport.publish(...given)),
      })),
  },
  {
    flaw: "publish does not listen to its signal",
    caughtBy: ["publish gives up when its signal aborts, also while the broker is out of reach"],
    alter: publishing((stream, message, options) => [stream, message, { ...options, signal: undefined }]),
  },
  {
    flaw: "a connection that was cut never says that it is back",
    caughtBy: ["a connection that is cut and comes back loses nothing"],
    alter: (transport) => ({
      ...transport,
      observe: (listener) =>
        transport.observe?.({
          ...listener,
          state: (details) => {
            if (details.state === "reconnecting") listener.state(details);
          },
        }),
    }),
  },
];

/** Asks the transport itself whether its broker is out of reach. */
function whileAway(transport: Transport, change: (isAway: () => boolean) => Partial<Transport>): Transport {
  let isAway = false;
  transport.observe?.({ state: ({ state }) => void (isAway = state === "reconnecting"), lag: () => {}, rebalance: () => {} });
  return { ...transport, ...change(() => isAway) };
}
