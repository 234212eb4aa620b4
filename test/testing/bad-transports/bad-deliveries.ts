import type { Handover, Inbound } from "../../../src/streams/index.ts";

import { type BadTransport, delivering } from "./bad-transport.ts";

/** Transports that lie about deliveries, or settle them otherwise than they are told. */
export const badDeliveries: readonly BadTransport[] = [
  {
    flaw: "every message is acknowledged before its handler has run",
    caughtBy: [
      "a message is not acknowledged before its handler has finished",
      "a process that dies between the end of its handler and the acknowledgement loses nothing",
      "close waits no longer than its limit, then the signal aborts and the message is delivered again",
    ],
    alter: (transport) => ({
      ...transport,
      subscribe: (request, sink) =>
        transport.subscribe(request, {
          lost: (error) => sink.lost(error),
          deliver(inbound) {
            void inbound.ack();
            return sink.deliver(inbound);
          },
        }),
    }),
  },
  {
    flaw: "acknowledging a message acknowledges all that came before it",
    caughtBy: ["acknowledging a message says nothing of those before it"],
    alter: (transport) => ({
      ...transport,
      subscribe(request, sink) {
        const before: Inbound[] = [];
        return transport.subscribe(request, {
          lost: (error) => sink.lost(error),
          deliver(inbound) {
            before.push(inbound);
            const upTo = before.length;
            return sink.deliver({ ...inbound, ack: async () => void (await Promise.all(before.slice(0, upTo).map((each) => each.ack()))) });
          },
        });
      },
    }),
  },
  {
    flaw: "attempts are forgotten",
    caughtBy: ["attempt grows with each delivery of the same message", "a message is not acknowledged before its handler has finished"],
    alter: delivering((inbound) => ({ ...inbound, attempt: 1 })),
  },
  {
    flaw: "the first delivery counts as the second",
    caughtBy: ["a handler is given the delivery: its stream, its position, and that it is the first one"],
    alter: delivering((inbound) => ({ ...inbound, attempt: inbound.attempt + 1 })),
  },
  {
    flaw: "delays are ignored",
    caughtBy: [
      "release with a delay delivers again not sooner than that",
      "a failed message is not delivered again before its delay is over: order by none",
    ],
    alter: delivering((inbound) => ({ ...inbound, release: () => inbound.release({ delay: 0 }) })),
  },
  {
    flaw: "what is released is dropped",
    caughtBy: [
      "attempt grows with each delivery of the same message",
      "release with a delay delivers again not sooner than that",
      "close finishes what is being worked on and gives back the rest: nothing is lost, and nothing done twice",
      "close waits no longer than its limit, then the signal aborts and the message is delivered again",
      "members that come and go while handlers run lose nothing",
    ],
    alter: delivering((inbound) => ({ ...inbound, release: () => inbound.ack() })),
  },
  {
    flaw: "extending does nothing",
    caughtBy: ["the ack wait is extended while the handler runs, so that nobody else is given the message"],
    alter: delivering((inbound) => ({ ...inbound, extend: async () => {} })),
  },
  {
    flaw: "nobody is told that a delivery was taken back",
    caughtBy: [
      "a delivery that nobody settles or extends is delivered again after its ack wait, and its signal aborts",
      "settling a delivery that was taken back does nothing",
    ],
    alter: (transport) => ({
      ...transport,
      subscribe: (request, sink) =>
        transport.subscribe(request, {
          lost: (error) => sink.lost(error),
          deliver(inbound) {
            sink.deliver(inbound);
            return { revoke: () => {} };
          },
        }),
    }),
  },
  {
    flaw: "a record that is no message goes to the handler",
    caughtBy: ["a record that is no message goes to the dead-letter stream and to no handler"],
    alter: delivering(({ failure: _failure, ...inbound }) => inbound),
  },
  {
    flaw: "acknowledgements are lost",
    caughtBy: [
      "a message whose handler fails is delivered again, also many times",
      "close of a subscription keeps the position: the next one goes on from there",
      "messages go on after others have failed",
      "what was settled stays so: a later word on it does nothing",
    ],
    alter: delivering((inbound) => ({ ...inbound, ack: () => inbound.release({ delay: 1 }) })),
  },
  {
    flaw: "two neighbours of a key change places",
    caughtBy: [
      "one key stays in order within a subscription, while handlers take different times and fail",
      "one key stays in order over all subscriptions of a name, while handlers take different times and fail",
      "messages of one key are published in the order of the calls, also when none of them is waited for",
      "serial works on one message at a time in the order of the stream, and a failure blocks what follows",
      "the followers of a failed message wait behind it, and other keys flow",
      "a terminal failure goes to the dead-letter stream at once, and what follows it goes on",
    ],
    alter: (transport) => ({
      ...transport,
      subscribe(request, sink) {
        const held = new Map<string, () => void>();
        const letGo = (key: string): void => {
          const deliver = held.get(key);
          held.delete(key);
          deliver?.();
        };
        return transport.subscribe(request, {
          lost: (error) => sink.lost(error),
          deliver(inbound) {
            const key = request.exclusive ? "any" : inbound.message.key;
            if (!held.has(key) && inbound.attempt === 1) {
              let handover: Handover | undefined;
              held.set(key, () => (handover = sink.deliver(inbound)));
              setTimeout(letGo, 30, key);
              return { revoke: (reason) => handover?.revoke(reason) };
            }
            const handover = sink.deliver(inbound);
            letGo(key);
            return handover;
          },
        });
      },
    }),
  },
];
