import type { MqttNative } from "@event-driver/mqtt";
import { expect, onTestFinished, test } from "vitest";

import { type Connection, deliveryOf, type SubscribeOptions } from "event-driver/streams";

import { services, suiteWith } from "../../../test/services.ts";
import { bareClient, connected, messages, newStream, publishAll, until } from "./helpers.ts";
import { toxicProxy } from "../../../test/toxic-proxy.ts";

const suite = await suiteWith("mqtt", "toxiproxy");

suite("the members of a name", () => {
  test("take over what one of them has left behind, and go on getting what is new", async () => {
    const stream = newStream();
    const [publisher, leaving, staying] = [await connected(), await connected(), await connected()];
    const seen: string[] = [];
    const gate = Promise.withResolvers<void>();
    await leaving.subscribe(stream, () => gate.promise, { maxInFlight: 3 });
    await staying.subscribe(stream, async (_ctx, { id }) => void seen.push(id));
    await publishAll(publisher, stream, messages(100));
    await until(() => seen.length === 50, "half of them went to each");

    await leaving.close({ limit: 0 });
    await until(() => seen.length === 100, "the other half was taken over");
    await publishAll(
      publisher,
      stream,
      messages(140).filter(({ id }) => Number(id) >= 100),
    );
    await until(() => seen.length === 140, "all that is new came");

    expect(new Set(seen).size).toBe(140);
    gate.resolve();
  });

  test("have each a session of their own when they come at the same instant", async () => {
    const stream = newStream();
    const publisher = await connected();
    const members = await Promise.all(Array.from({ length: 10 }, () => connected()));
    const seen: string[] = [];
    const byMember = new Map<number, number>();
    await Promise.all(
      members.map((member, index) =>
        member.subscribe(stream, async (_ctx, { id }) => {
          seen.push(id);
          byMember.set(index, (byMember.get(index) ?? 0) + 1);
        }),
      ),
    );

    await publishAll(publisher, stream, messages(500, 50));
    await until(() => new Set(seen).size === 500, "all messages came");

    await until(() => members.every((member) => member.status().subscriptions.length === 1), "all are subscribed");
    expect(byMember.size, "how many had something to do").toBeGreaterThan(1);
  });

  test("hand on a session when somebody else connects under its client identifier, and tell the handlers", async () => {
    const stream = newStream();
    const network = await toxicProxy(services.mqtt.url);
    onTestFinished(() => network.remove());
    const [publisher, first] = [await connected(), await connected({ url: network.url })];
    const aborted: string[] = [];
    const seen: string[] = [];
    await first.subscribe(stream, async (ctx, { id }) => {
      if (aborted.length > 0 || id !== "0") return void seen.push(id);
      await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
      aborted.push(id);
      ctx.signal.throwIfAborted();
    });
    await publisher.publish(stream, messages(1)[0]!);
    await until(() => first.status().subscriptions[0]?.inFlight === 1, "it is being worked on");

    await network.cut();
    const second = await connected();
    const seenBySecond: string[] = [];
    await second.subscribe(stream, async (_ctx, { id }) => void seenBySecond.push(id));
    await until(() => seenBySecond.includes("0"), "the second one has the session and the message");
    await network.mend();

    await until(() => aborted.includes("0"), "the first one was told");
    let published = 0;
    while (seen.length === 0) {
      published += 1;
      await publisher.publish(stream, { ...messages(1)[0]!, id: `later ${published}` });
    }
    await until(() => seen.length + seenBySecond.length > published, "both share what is new");
    expect(new Set([...seen, ...seenBySecond]).size).toBe(published + 1);
  });

  test("lose a session for good when it is exclusive: it is told, and may subscribe again", async () => {
    const stream = newStream();
    const network = await toxicProxy(services.mqtt.url);
    onTestFinished(() => network.remove());
    const first = await connected({ url: network.url });
    const lost: unknown[] = [];
    first.on("lost", ({ error }) => lost.push(error));
    await first.subscribe(stream, async () => {}, { serial: true });

    await network.cut();
    const second = await connected();
    await until(() => first.status().state === "reconnecting", "the cut was noticed");
    await subscribeWhenFree(second, stream, { serial: true });
    await network.mend();

    await until(() => lost.length > 0, "the first one was told");
    expect(lost).toMatchObject([{ code: "ERR_SUBSCRIPTION_BUSY", retryable: true }]);
  });

  test("leave nothing at the broker after unsubscribe: no session, no note, no messages", async () => {
    const stream = newStream();
    const [publisher, member] = [await connected(), await connected()];
    const subscription = await member.subscribe(stream, async () => {});
    const other = await member.subscribe(stream, async () => {});
    await other.close();

    await subscription.unsubscribe();
    await publisher.publish(stream, messages(1)[0]!);
    const seen: string[] = [];
    await member.subscribe(stream, async (_ctx, { id }) => void seen.push(id));
    await publisher.publish(stream, { ...messages(1)[0]!, id: "new" });
    await until(() => seen.length > 0, "something came");

    expect(seen).toEqual(["new"]);
  });

  test("keep what was published while none of them was there", async () => {
    const stream = newStream();
    const [publisher, member] = [await connected(), await connected()];
    const subscription = await member.subscribe(stream, async () => {}, { name: "billing" });
    await subscription.close();

    await publishAll(publisher, stream, messages(10, 1));
    const seen: string[] = [];
    await member.subscribe(stream, async (_ctx, { id }) => void seen.push(id), { name: "billing" });
    await until(() => seen.length === 10, "all came");

    expect(seen).toEqual(messages(10).map(({ id }) => id));
  });

  test("serve each other whether they want the name alone or share it, one after the other", async () => {
    const stream = newStream();
    const [publisher, member] = [await connected(), await connected()];
    const seen: string[] = [];
    const handle = async (_ctx: unknown, { id }: { readonly id: string }): Promise<void> => void seen.push(id);

    for (const serial of [false, true, false]) {
      const subscription = await member.subscribe(stream, handle, { serial });
      await publisher.publish(stream, { ...messages(1)[0]!, id: `live ${seen.length}` });
      await until(() => seen.length % 2 === 1, "what is live came");
      await subscription.close();
      await publisher.publish(stream, { ...messages(1)[0]!, id: `kept ${seen.length}` });
      const again = await member.subscribe(stream, handle, { serial });
      await until(() => seen.length % 2 === 0, "what was kept came");
      await again.close();
    }

    expect(seen).toEqual(["live 0", "kept 1", "live 2", "kept 3", "live 4", "kept 5"]);
  });
});

suite("what only MQTT has", () => {
  test("a topic filter with wildcards gets messages of many topics, each with its own", async () => {
    const place = newStream();
    const [publisher, subscriber] = [await connected(), await connected()];
    const seen: string[] = [];
    const native: MqttNative = { filter: `${place}/+/reading` };
    await subscriber.subscribe("readings", async (_ctx, { id, key, source }) => void seen.push(`${source} ${key} ${id.length > 10}`), {
      native,
      name: place,
    });

    const device = await bareClient();
    await device.publishAsync(`${place}/one/reading`, "21.5", { qos: 1 });
    await publisher.publish(`${place}/two/reading`, messages(1)[0]!);
    await until(() => seen.length === 2, "both came");

    const topic = `${place}/one/reading`;
    expect(seen).toEqual([`${topic} ${topic} true`, "shop order-0 false"]);
  });

  test("what a device publishes with quality 0 comes too, and no more of it at once than is allowed", async () => {
    const stream = newStream();
    const subscriber = await connected();
    let running = 0;
    let most = 0;
    let done = 0;
    await subscriber.subscribe(
      stream,
      async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        done += 1;
      },
      { maxInFlight: 2, concurrency: 10, order: "none" },
    );

    const device = await bareClient();
    for (let index = 0; index < 20; index += 1) await device.publishAsync(stream, String(index), { qos: 0 });
    await until(() => done === 20, "all came");

    expect(most).toBe(2);
  });

  test("a retained message is delivered to a new position that asks for it, and to no other", async () => {
    const stream = newStream();
    const publisher = await connected({ retain: (each) => each === stream });
    await publisher.publish(stream, { ...messages(1)[0]!, id: "retained" });
    const subscriber = await connected();
    const seen: string[] = [];
    const record =
      (who: string) =>
      async (_ctx: unknown, { id }: { readonly id: string }): Promise<void> =>
        void seen.push(`${who}: ${id}`);

    await subscriber.subscribe(stream, record("one"), { name: "one", serial: true, native: { retained: true } });
    await until(() => seen.length === 1, "it came");
    await subscriber.subscribe(stream, record("other"), { name: "other" });
    await publisher.publish(stream, { ...messages(1)[0]!, id: "live" });
    await until(() => seen.length === 3, "what is live came");

    expect(seen.toSorted()).toEqual(["one: live", "one: retained", "other: live"]);
  });

  test("a dead letter that nobody would have is not given up: its message is tried on", async () => {
    const [stream, deadLetter] = [newStream(), newStream()];
    const connection = await connected();
    const failures: string[] = [];
    connection.on("failure", ({ next, error }) =>
      failures.push(`${next} ${String(error).includes("nobody has it") || next === "dead letter"}`),
    );
    await connection.subscribe(stream, () => Promise.reject(new Error("broken")), { deadLetter, retry: { delays: [1] } });
    await connection.publish(stream, messages(1)[0]!);
    await until(() => failures.length >= 3, "it was tried on");
    expect(failures).not.toContain("dead letter true");

    const dead: string[] = [];
    await connection.subscribe(deadLetter, async (_ctx, { id }) => void dead.push(id));

    await until(() => dead.length === 1, "it came into the dead-letter stream");
    expect(dead).toEqual(["0"]);
  });

  test("a position says which delivery it is, and no two have the same", async () => {
    const stream = newStream();
    const connection = await connected();
    const positions: (string | undefined)[] = [];
    await connection.subscribe(stream, async (ctx) => void positions.push(deliveryOf(ctx)?.position));

    await publishAll(connection, stream, messages(10));
    await until(() => positions.length === 10, "all came");

    expect(new Set(positions).size).toBe(10);
  });

  test("retained messages are refused where a name may be shared", async () => {
    const connection = await connected();

    await expect(connection.subscribe(newStream(), async () => {}, { native: { retained: true } })).rejects.toMatchObject({
      code: "ERR_UNSUPPORTED",
      retryable: false,
    });
  });
});

/** The broker has to notice first that the other one has gone. */
async function subscribeWhenFree(connection: Connection<MqttNative>, stream: string, options: SubscribeOptions<MqttNative>): Promise<void> {
  for (;;) {
    try {
      return void (await connection.subscribe(stream, async () => {}, options));
    } catch (error) {
      if (!String(error).includes("wants it alone")) throw error;
    }
  }
}
