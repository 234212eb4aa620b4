import type { RabbitmqConnectionOptions, RabbitmqNative } from "@event-driver/rabbitmq";
import type { Connection } from "event-driver/streams";

import { TerminalError } from "event-driver";
import { deliveryOf, partitionOf } from "event-driver/streams";
import { expect, onTestFinished, test } from "vitest";

import { suiteWith } from "../../../test/services.ts";
import { slots } from "../src/records.ts";
import { asked, collector, connected, hasQueue, order, orders, until } from "./connected.ts";
import { publishRaw } from "./handles.ts";

const suite = await suiteWith("rabbitmq");

suite("what a name with partitions is at the broker", () => {
  test("each partition has a queue, and a delivery says which one it came from", async () => {
    const [connection, stream] = [await divided(), crypto.randomUUID()];
    const seen = new Map<string, string | undefined>();
    await connection.subscribe(stream, async (ctx, { key }) => void seen.set(key, deliveryOf(ctx)?.partition));

    await connection.publishBatch(stream, orders(40, 40));
    await until(() => expect(seen.size).toBe(40));

    expect([...seen]).toEqual([...seen.keys()].map((key) => [key, String(partitionOf(key, slots) % 4)]));
    expect(new Set(seen.values()).size).toBe(4);
  });

  test("names with partitions and without get everything that is published to their stream", async () => {
    const [connection, plain, stream] = [await divided(), await connected(), crypto.randomUUID()];
    const [one, other, third] = [collector(), collector(), collector()];
    await connection.subscribe(stream, one.handle);
    await plain.subscribe(stream, other.handle, { name: "without" });
    await (await divided({ partitions: 7 })).subscribe(stream, third.handle, { name: "with others" });

    await plain.publishBatch(stream, orders(50, 10));

    for (const { ids } of [one, other, third]) await until(() => expect(ids.length).toBe(50));
  });

  test("what others publish without a slot comes, too", async () => {
    const [connection, stream, { ids, handle }] = [await divided(), crypto.randomUUID(), collector()];
    await connection.subscribe(stream, handle);

    await publishRaw(stream, { messageId: "of another", contentType: "text/plain", body: Buffer.from("") });

    await until(() => expect(ids.length).toBe(1));
  });

  test("unsubscribe removes all of it when the last member leaves", async () => {
    const [one, other, stream] = [await divided(), await divided(), crypto.randomUUID()];
    const [first, second] = [await one.subscribe(stream, collector().handle), await other.subscribe(stream, collector().handle)];

    await first.unsubscribe();
    expect(await hasQueue(`${stream}~3`)).toBe(true);
    await second.unsubscribe();

    for (const queue of ["0", "1", "2", "3", "members"]) expect(await hasQueue(`${stream}~${queue}`)).toBe(false);
    for (const exchange of ["slots", "strays"])
      await expect(asked((channel) => channel.exchangeDeclare({ exchange: `${stream}~${exchange}`, passive: true }))).rejects.toThrow(
        "NOT_FOUND",
      );
  });

  test("close removes all of it where the name is not durable", async () => {
    const [connection, stream] = [await divided({ queueArguments: {} }), crypto.randomUUID()];
    const subscription = await connection.subscribe(stream, collector().handle, { durable: false });

    await subscription.close();

    expect([await hasQueue(`${stream}~0`), await hasQueue(`${stream}~members`)]).toEqual([false, false]);
  });

  test("reset removes what waits in all partitions, and is refused while there are members", async () => {
    const [one, other, stream] = [await divided(), await divided(), crypto.randomUUID()];
    const subscription = await one.subscribe(stream, collector().handle);
    await expect(other.subscribe(stream, collector().handle, { reset: true })).rejects.toMatchObject({ code: "ERR_SUBSCRIPTION_BUSY" });
    await subscription.close();
    await one.publishBatch(stream, orders(20, 20));
    const { ids, handle } = collector();

    await other.subscribe(stream, handle, { reset: true });
    await one.publish(stream, order("afterwards"));
    await until(() => expect(ids).toContain("afterwards"));

    expect(ids).toEqual(["afterwards"]);
  });

  test("how much waits for a name is told over all partitions", async () => {
    const [connection, stream] = [await divided({ lagInterval: 50 }), crypto.randomUUID()];
    const lags: unknown[] = [];
    connection.on("lag", (lag) => lags.push(lag));
    await (await connection.subscribe(stream, collector().handle)).close();
    await connection.publishBatch(stream, orders(40, 40));

    const subscription = await connection.pull(stream, { maxInFlight: 1 });
    // Each partition has one lying ready.
    await until(() => expect(lags.at(-1)).toEqual({ stream, name: stream, messages: 36 }));

    await subscription.close();
  });

  test("a queue that is removed under its member is made again, and what is published from then on comes", async () => {
    const [connection, stream, { ids, handle }] = [await divided(), crypto.randomUUID(), collector()];
    await connection.subscribe(stream, handle);

    for (const queue of ["0", "1", "2", "3", "members"]) await asked((channel) => channel.queueDelete({ queue: `${stream}~${queue}` }));
    for (const queue of ["0", "1", "2", "3", "members"]) await until(async () => expect(await hasQueue(`${stream}~${queue}`)).toBe(true));

    await until(async () => {
      await connection.publishBatch(stream, orders(40, 40));
      expect(new Set(ids).size).toBe(40);
    });
  });

  test("with check all of it has to be there, and unsubscribe empties it and leaves it", async () => {
    const [maker, checker, stream] = [await divided(), await divided({ topology: "check" }), crypto.randomUUID()];
    const { ids, handle } = collector();
    await expect(checker.subscribe(stream, handle)).rejects.toMatchObject({ code: "ERR_TOPOLOGY" });
    await (await maker.subscribe(stream, collector().handle)).close();
    await maker.publishBatch(stream, orders(20, 20));

    const subscription = await checker.subscribe(stream, handle);
    await until(() => expect(ids.length).toBe(20));
    await subscription.unsubscribe();

    expect(await hasQueue(`${stream}~0`)).toBe(true);
    for (const partitions of [3, 5])
      await expect((await divided({ partitions, topology: "check" })).subscribe(stream, handle)).rejects.toMatchObject({
        code: "ERR_TOPOLOGY",
      });
  });
});

suite("names that do not fit", () => {
  test.each([3, 5, 8])("a name of four partitions is refused to who wants %d, and nothing of it is changed", async (partitions) => {
    const [connection, stream, { ids, handle }] = [await divided(), crypto.randomUUID(), collector()];
    await (await connection.subscribe(stream, handle)).close();

    await expect((await divided({ partitions })).subscribe(stream, handle)).rejects.toMatchObject({
      code: "ERR_TOPOLOGY",
      retryable: true,
      message: expect.stringMatching(`${stream}.*another number of partitions than ${partitions}`),
    });
    await connection.publishBatch(stream, orders(20, 20));
    await connection.subscribe(stream, handle);

    await until(() =>
      expect(ids.toSorted()).toEqual(
        orders(20, 20)
          .map(({ id }) => id)
          .toSorted(),
      ),
    );
  });

  test("a name with partitions is refused to who has none: its queue would be given everything once more", async () => {
    const [connection, plain, stream] = [await divided(), await connected(), crypto.randomUUID()];
    await (await connection.subscribe(stream, collector().handle)).close();

    for (const serial of [false, true])
      await expect(plain.subscribe(stream, collector().handle, { serial })).rejects.toMatchObject({
        code: "ERR_TOPOLOGY",
        message: expect.stringContaining("partitions"),
      });

    expect(await hasQueue(stream)).toBe(false);
  });

  test("a name that was made without partitions goes on without: one member works, and the next one when it has gone", async () => {
    const [one, other, plain, stream] = [await divided(), await divided(), await connected(), crypto.randomUUID()];
    await (await plain.subscribe(stream, collector().handle)).close();
    await plain.publishBatch(stream, orders(10, 10));
    const [first, second] = [collector(), collector()];

    const working = await one.subscribe(stream, first.handle);
    await until(() => expect(first.ids.length).toBe(10));
    await other.subscribe(stream, second.handle);
    await expect(plain.subscribe(stream, collector().handle)).rejects.toMatchObject({ code: "ERR_SUBSCRIPTION_BUSY" });
    await plain.publishBatch(stream, orders(10, 10));
    await until(() => expect(first.ids.length).toBe(20));
    expect(second.ids).toEqual([]);
    await working.close();
    await plain.publishBatch(stream, orders(10, 10));

    await until(() => expect(second.ids.length).toBe(10));
  });

  test("who wants one message after another has one queue, and the name alone", async () => {
    const [one, other, stream, { ids, handle }] = [await divided(), await divided(), crypto.randomUUID(), collector()];
    await one.subscribe(stream, handle, { serial: true });

    await expect(other.subscribe(stream, collector().handle)).rejects.toMatchObject({ code: "ERR_SUBSCRIPTION_BUSY" });
    for (const message of orders(20, 20)) await other.publish(stream, message);

    await until(() => expect(ids).toEqual(orders(20, 20).map(({ id }) => id)));
  });
});

suite("dead letters of a connection with partitions", () => {
  test("a dead letter is kept for a connection without partitions, and for its own", async () => {
    const [connection, plain, stream, deadLetter] = [await divided(), await connected(), crypto.randomUUID(), crypto.randomUUID()];
    await connection.subscribe(stream, () => Promise.reject(new TerminalError("cancelled")), { deadLetter });
    const [one, other] = [collector(), collector()];

    await putAside(connection, stream, "1");
    const reader = await plain.subscribe(deadLetter, one.handle);
    await until(() => expect(one.ids).toEqual(["1"]));
    await reader.close();
    await putAside(connection, stream, "2");
    await connection.subscribe(deadLetter, other.handle);

    await until(() => expect(other.ids).toEqual(["2"]));
  });

  test("a dead letter goes to the partitions of who has subscribed to its stream before", async () => {
    const [connection, stream, deadLetter, { ids, handle }] = [await divided(), crypto.randomUUID(), crypto.randomUUID(), collector()];
    await connection.subscribe(deadLetter, handle);
    await connection.subscribe(stream, () => Promise.reject(new TerminalError("cancelled")), { deadLetter });

    await putAside(connection, stream, "1");

    await until(() => expect(ids).toEqual(["1"]));
    expect(await hasQueue(deadLetter)).toBe(false);
  });
});

async function putAside(connection: Connection<RabbitmqNative>, stream: string, id: string): Promise<void> {
  const happened = Promise.withResolvers<void>();
  onTestFinished(connection.on("failure", (failure) => failure.id === id && failure.next === "dead letter" && happened.resolve()));
  await connection.publish(stream, order(id));
  await happened.promise;
}

function divided(options: Partial<RabbitmqConnectionOptions> = {}): Promise<Connection<RabbitmqNative>> {
  return connected({ partitions: 4, ...options });
}
