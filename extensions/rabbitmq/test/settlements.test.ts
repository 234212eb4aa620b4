import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";

import { type SettlementChannel, Settlements } from "../src/settlements.ts";

test("what is done in one turn, with nothing open before it, is one acknowledgement", async () => {
  const { channel, told } = recording();
  const settlements = delivered(channel, 5);

  await Promise.all([3, 1, 2].map((tag) => settlements.ack(tag)));

  expect(told).toEqual(["ack up to 3"]);
});

test("what is done behind one that is not is acknowledged by itself", async () => {
  const { channel, told } = recording();
  const settlements = delivered(channel, 5);

  await Promise.all([1, 3, 5].map((tag) => settlements.ack(tag)));
  await Promise.all([2, 4].map((tag) => settlements.ack(tag)));

  expect(told).toEqual(["ack up to 1", "ack 3", "ack 5", "ack up to 4"]);
});

test("what was given back no longer stands before what follows it", async () => {
  const { channel, told } = recording();
  const settlements = delivered(channel, 3);

  settlements.giveBack(1);
  await Promise.all([2, 3].map((tag) => settlements.ack(tag)));

  expect(told).toEqual(["give back 1", "ack up to 3"]);
});

test("a flush tells at once, and nothing twice", async () => {
  const { channel, told } = recording();
  const settlements = delivered(channel, 2);

  const acked = settlements.ack(1);
  settlements.flush();
  expect(told).toEqual(["ack up to 1"]);
  await acked;
  await setImmediate();

  expect(told).toEqual(["ack up to 1"]);
});

test("nothing is told to a channel that has ended", async () => {
  const { channel, told } = recording();
  const settlements = delivered(channel, 1);
  channel.active = false;

  await settlements.ack(1);

  expect(told).toEqual([]);
});

function delivered(channel: SettlementChannel, count: number): Settlements {
  const settlements = new Settlements(channel);
  for (let tag = 1; tag <= count; tag += 1) settlements.delivered(tag);
  return settlements;
}

function recording(): { readonly channel: SettlementChannel; readonly told: readonly string[] } {
  const told: string[] = [];
  return {
    told,
    channel: {
      active: true,
      basicAck: ({ deliveryTag, multiple }) => void told.push(multiple === true ? `ack up to ${deliveryTag}` : `ack ${deliveryTag}`),
      basicNack: ({ deliveryTag }) => void told.push(`give back ${deliveryTag}`),
    },
  };
}
