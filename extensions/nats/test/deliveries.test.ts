import { createMessage } from "event-driver";
import { type VirtualClock, virtualClock } from "event-driver/testing";
import { expect, test } from "vitest";

import { deliveryInfo, Flight, Flights, type Settling } from "../src/deliveries.ts";

test("a delivery says how often it was delivered, where it is and when it was published, in the words of old and new servers", () => {
  const info = { attempt: 3, sequence: 42, delivery: 99, publishedAt: 1_760_000_000_123, pending: 7 };

  expect(deliveryInfo("$JS.ACK.orders.billing.3.42.99.1760000000123456789.7")).toEqual(info);
  expect(deliveryInfo("$JS.ACK._.hash.orders.billing.3.42.99.1760000000123456789.7")).toEqual(info);
  expect(deliveryInfo("$JS.ACK.hub.hash.orders.billing.3.42.99.1760000000123456789.7.random")).toEqual(info);
});

test("a delivery that is not settled is taken back when its ack wait is over, and who has it is told why", async () => {
  const clock = virtualClock();
  const { flights, fly, revoked } = opened(clock);
  const [first, second] = [fly("1"), fly("2")];

  await clock.advance(99);
  flights.land(first);
  await clock.advance(1);

  expect(revoked.has(first)).toBe(false);
  expect(revoked.get(second)).toMatchObject({ code: "ERR_DELIVERY_LOST", retryable: true });
  expect(flights.size).toBe(0);
});

test("an extension counts from when it was asked for, and puts the delivery behind those that end sooner", async () => {
  const clock = virtualClock();
  const { flights, fly, revoked } = opened(clock);
  const [first, second] = [fly("1"), fly("2")];

  await clock.advance(60);
  flights.extend(first, clock.now());
  await clock.advance(40);
  expect([...revoked.keys()]).toEqual([second]);
  await clock.advance(60);

  expect([...revoked.keys()]).toEqual([second, first]);
});

test("a delivery is settled once, and what was taken back is not extended", async () => {
  const clock = virtualClock();
  const { flights, fly, landed } = opened(clock);
  const [first, second] = [fly("1"), fly("2")];

  expect([flights.land(first), flights.land(first)]).toEqual([true, false]);
  await clock.advance(100);
  flights.extend(second, clock.now());

  expect([flights.size, landed()]).toEqual([0, 2]);
});

test("clearing takes out all, the first in front, and leaves no timer", () => {
  const clock = virtualClock();
  const { flights, fly } = opened(clock);
  const both = [fly("7"), fly("5")];
  expect(flights.first).toBe(5);

  expect(flights.clear()).toEqual(both);
  expect([flights.size, clock.pending, flights.first]).toEqual([0, 0, Infinity]);
});

const unused: Settling = { ack: async () => {}, release: async () => {}, extend: async () => {} };

function opened(clock: VirtualClock): {
  readonly flights: Flights;
  readonly fly: (sequence: string) => Flight;
  readonly landed: () => number;
  /** What was lost, and why. */
  readonly revoked: ReadonlyMap<Flight, unknown>;
} {
  let count = 0;
  const revoked = new Map<Flight, unknown>();
  const flights = new Flights({ clock, ackWait: 100, onLanded: () => (count += 1) });
  return {
    flights,
    landed: () => count,
    revoked,
    fly(sequence) {
      const message = createMessage({ id: sequence, key: "k", source: "test", content: "" });
      const info = { attempt: 1, sequence: Number(sequence), delivery: 1, publishedAt: 0, pending: 0 };
      const flight = new Flight({ message }, { reply: `reply.${sequence}`, info, endsAt: clock.now() + 100, settling: unused });
      flight.handover = { revoke: (reason) => void revoked.set(flight, reason) };
      flights.add(flight);
      return flight;
    },
  };
}
