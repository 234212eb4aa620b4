import { expect, test } from "vitest";

import { Room, type Waiting } from "../src/partitions/room.ts";

test("there is room for as many as were asked for, and for one more when one leaves", () => {
  const [room, one] = [new Room(2), waiting(["first"])];

  expect([room.enter(one), room.enter(one), room.enter(one)]).toEqual([true, true, false]);
  room.leave();
  expect(one.handedOver).toEqual(["first"]);
  expect(room.enter(one)).toBe(false);
});

test("those that wait hand over in turn", () => {
  const room = new Room(1);
  const [log, rest]: [string[], Waiting] = [[], { proceed: () => false }];
  const [one, other] = [waiting(["one 1", "one 2", "one 3"], log), waiting(["other 1", "other 2"], log)];
  room.enter(rest);
  room.enter(one);
  room.enter(other);

  for (let left = 0; left < 5; left += 1) room.leave();

  expect(log).toEqual(["one 1", "other 1", "one 2", "other 2", "one 3"]);
});

test("who is forgotten is passed over, and the room is another's", () => {
  const room = new Room(1);
  const [one, other] = [waiting(["one"]), waiting(["other"])];
  room.enter(one);
  room.enter(one);
  room.enter(other);

  room.forget(one);
  room.leave();

  expect([one.handedOver, other.handedOver]).toEqual([[], ["other"]]);
});

test("what is settled as soon as it is handed over makes room for the next", () => {
  const [room, handedOver]: [Room, number[]] = [new Room(1), []];
  const left = [1, 2, 3];
  const one: Waiting = {
    proceed() {
      handedOver.push(...left.splice(0, 1));
      room.leave();
      return left.length > 0;
    },
  };
  room.enter(one);
  room.enter(one);

  room.leave();

  expect(handedOver).toEqual([1, 2, 3]);
  expect([room.enter(one), room.enter(one)]).toEqual([true, false]);
});

test("when nobody waits, what has left makes room for whoever comes", () => {
  const [room, one] = [new Room(1), waiting([])];
  room.enter(one);

  room.leave();

  expect([room.enter(one), room.enter(one)]).toEqual([true, false]);
});

function waiting(texts: readonly string[], handedOver: string[] = []): Waiting & { readonly handedOver: readonly string[] } {
  const left = [...texts];
  return {
    handedOver,
    proceed() {
      handedOver.push(...left.splice(0, 1));
      return left.length > 0;
    },
  };
}
