import { expectTypeOf, test } from "vitest";

import type { Message } from "../../src/message.ts";
import type { Pipeline } from "../../src/pipeline/pipeline.ts";
import type { Connection, SubscribeOptions, Target } from "../../src/streams/index.ts";

import { pipeline } from "../../src/pipeline/pipeline.ts";

declare const connection: Connection;
declare const redis: Connection<{ readonly group: string }>;

test("a pipeline of messages and a function can subscribe", () => {
  void connection.subscribe("orders", pipeline());
  void connection.subscribe("orders", async (ctx, message) => {
    expectTypeOf(ctx.attempt).toBeNumber();
    expectTypeOf(message).toEqualTypeOf<Message>();
  });
});

test("a pipeline that takes what no wire can carry cannot", () => {
  expectTypeOf<Pipeline<Message<{ readonly total: number }>>>().not.toExtend<Target>();
  expectTypeOf<Pipeline>().toExtend<Target>();
});

test("native is what the broker has, and nothing where it has nothing of its own", () => {
  void redis.subscribe("orders", async () => {}, { native: { group: "a" } });
  // @ts-expect-error this broker has no such option
  void redis.subscribe("orders", async () => {}, { native: { partition: 1 } });
  // @ts-expect-error memory has nothing of its own
  void connection.subscribe("orders", async () => {}, { native: {} });
  expectTypeOf<SubscribeOptions["native"]>().toEqualTypeOf<undefined>();
});

test("listeners are given what their event tells", () => {
  connection.on("lag", (details) => expectTypeOf(details.messages).toBeNumber());
  // @ts-expect-error there is no such event
  connection.on("nothing", () => {});
});
