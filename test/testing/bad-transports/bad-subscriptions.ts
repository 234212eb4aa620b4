import type { Handover, Inbound, Sink, TransportSubscription } from "../../../src/streams/index.ts";

import { asking, type BadTransport } from "./bad-transport.ts";

let names = 0;

const longQueue =
  "of a long queue a slow handler's subscription has no more than maxInFlight messages, and its process keeps less than half in memory";

/** Transports that subscribe otherwise than they were asked to, or do not leave as they must. */
export const badSubscriptions: readonly BadTransport[] = [
  {
    flaw: "subscriptions of one name do not share the work",
    caughtBy: ["subscriptions of one name share the work"],
    alter: asking(({ name }) => ({ name: `${name}${(names += 1)}` })),
  },
  {
    flaw: "all names share one position",
    caughtBy: ["each name by itself gets every message"],
    alter: asking(() => ({ name: "one" })),
  },
  {
    flaw: "maxInFlight is ignored",
    caughtBy: [
      "at most maxInFlight messages of a subscription are unsettled, however slow the handler is",
      "at most maxInFlight deliveries of a loop are out",
      longQueue,
    ],
    alter: asking(() => ({ maxInFlight: 1_000 })),
  },
  {
    flaw: "everything is read at once, and then handed over as asked for",
    caughtBy: [longQueue],
    alter: (transport) => ({
      ...transport,
      subscribe: (request, sink) => transport.subscribe({ ...request, maxInFlight: Infinity }, handingOver(request.maxInFlight, sink)),
    }),
  },
  {
    flaw: "nobody has a name alone",
    caughtBy: ["subscribe rejects with ERR_SUBSCRIPTION_BUSY when the name is taken alone, until that subscription has gone"],
    alter: asking(() => ({ exclusive: false })),
  },
  {
    flaw: "everybody has his name alone",
    caughtBy: [
      "the ack wait is extended while the handler runs, so that nobody else is given the message",
      "unsubscribe leaves the position to others of the name",
    ],
    alter: asking(() => ({ exclusive: true })),
  },
  {
    flaw: "a new name always begins with the first message",
    caughtBy: [
      "a new name begins with what comes from then on",
      "backfill by time begins with the first message from then on",
      "backfill by position begins with that position, itself included",
    ],
    alter: asking(() => ({ backfill: true })),
  },
  {
    flaw: "a new name always begins with what comes from then on",
    caughtBy: ["backfill: true begins with the first message that is there"],
    alter: asking(() => ({ backfill: false })),
  },
  {
    flaw: "reset is ignored",
    caughtBy: [
      "a name that has a position goes on from there, whatever backfill says; reset starts it anew",
      "reset is refused while others are subscribed under the name",
    ],
    alter: asking(() => ({ reset: false })),
  },
  {
    flaw: "no position is durable",
    caughtBy: ["close of a subscription keeps the position: the next one goes on from there"],
    alter: asking(() => ({ durable: false })),
  },
  {
    flaw: "every position is durable",
    caughtBy: ["a position that is not durable ends with its last subscription"],
    alter: asking(() => ({ durable: true })),
  },
  leaving("close forgets the position", (left) => ({ close: () => left.forget() }), [
    "close of a subscription keeps the position: the next one goes on from there",
  ]),
  leaving("unsubscribe keeps the position", (left) => ({ forget: () => left.close() }), [
    "unsubscribe forgets the position: the next one begins anew",
  ]),
  leaving("a subscription that was closed goes on", () => ({ stop: async () => {}, close: async () => {}, forget: async () => {} }), [
    "subscribe rejects with ERR_SUBSCRIPTION_BUSY when the name is taken alone, until that subscription has gone",
    "a name that has a position goes on from there, whatever backfill says; reset starts it anew",
  ]),
  leaving("a subscription cannot be closed", () => ({ close: () => Promise.reject(new Error("no answer")) }), [
    "closing one subscription leaves the others",
    "close is idempotent, and may be called many times at once",
  ]),
  {
    flaw: "closing a subscription closes the connection",
    caughtBy: ["closing one subscription leaves the others"],
    alter: (transport) => ({
      ...transport,
      async subscribe(request, sink) {
        const left = await transport.subscribe(request, sink);
        return { ...left, close: () => transport.close() };
      },
    }),
  },
  {
    flaw: "nothing is settled any more once a subscription has stopped",
    caughtBy: ["close finishes what is being worked on and gives back the rest: nothing is lost, and nothing done twice"],
    alter: (transport) => ({
      ...transport,
      async subscribe(request, sink) {
        const left = await transport.subscribe(request, sink);
        return { ...left, stop: () => left.close() };
      },
    }),
  },
];

function leaving(
  flaw: string,
  change: (left: TransportSubscription) => Partial<TransportSubscription>,
  caughtBy: readonly string[],
): BadTransport {
  return {
    flaw,
    caughtBy,
    alter: (transport) => ({
      ...transport,
      async subscribe(request, sink) {
        const left = await transport.subscribe(request, sink);
        return { ...left, ...change(left) };
      },
    }),
  };
}

/** Keeps what comes until there is room for it. */
function handingOver(room: number, sink: Sink): Sink {
  const waiting: (() => void)[] = [];
  let unsettled = 0;
  const handOverMore = (): void => {
    for (let next = waiting[0]; next !== undefined && unsettled < room; next = waiting[0]) {
      waiting.shift();
      unsettled += 1;
      next();
    }
  };
  const settling = (settle: Promise<void>): Promise<void> => {
    unsettled -= 1;
    setImmediate(handOverMore);
    return settle;
  };
  return {
    lost: (error) => sink.lost(error),
    deliver(inbound) {
      let handover: Handover | undefined;
      const own: Inbound = {
        ...inbound,
        ack: () => settling(inbound.ack()),
        release: (options) => settling(inbound.release(options)),
      };
      waiting.push(() => (handover = sink.deliver(own)));
      handOverMore();
      return { revoke: (reason) => handover?.revoke(reason) };
    },
  };
}
