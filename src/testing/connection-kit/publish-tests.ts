import assert from "node:assert/strict";

import type { Message, StorableContent } from "../../message.ts";
import type { ConnectionTest } from "./connection-test.ts";

import { createMessage } from "../../message.ts";
import { everyHostileString, hostileStrings } from "../event-store-kit/hostile-strings.ts";
import { assertSameMessage } from "../event-store-kit/kit-test.ts";
import { assertCode, publishAll, recorder, sample, samples } from "./connection-test.ts";

/** A wire has no place for half a character. */
const hostile = everyHostileString.filter((text) => text !== "" && text.isWellFormed());

/** Those that brokers have rules of their own for. */
const hostileNames = [
  "slashes",
  "dots and other separators",
  "wildcards and percent signs",
  "emoji and other planes",
  "upper and lower case",
].flatMap((group) => hostileStrings[group]?.filter((text) => hostile.includes(text)) ?? []);

const mebibyte = 1_048_576;
const contents: Readonly<Record<string, StorableContent>> = {
  "no text": "",
  "no bytes": new Uint8Array(),
  "text beyond ASCII": "한국어 👩‍👩‍👧 \0 \r\n",
  "bytes that are no text": Uint8Array.from({ length: 256 }, (_, byte) => byte),
  "1 MiB of text": "x".repeat(mebibyte),
  "1 MiB of bytes": new Uint8Array(mebibyte).fill(255),
};

export const publishTests: readonly ConnectionTest[] = [
  {
    title: "publish resolves with the message's id",
    async run({ connection, stream }) {
      assert.equal(await connection.publish(stream, sample("order 1")), "order 1");
    },
  },
  {
    title: "a message comes back as it was published: every part",
    async run({ connection, stream, until }) {
      const { receipts, handle } = recorder();
      const message = createMessage({
        id: "1",
        key: "order-1",
        source: "shop",
        origin: "https://shop.example/eu?a=b#c",
        type: "order.created",
        time: "2026-01-01T00:00:00.123456789+01:00",
        content: '{"total":12.50}',
        attributes: { tenant: "ACME & Söhne 100 %", datacontenttype: "application/json", traceparent: "00-0af7-b7ad-01" },
      });
      await connection.subscribe(stream, handle);

      await connection.publish(stream, message);
      await until("the message came", () => receipts.length > 0);

      assertSameMessage(receipts[0]?.message, message);
    },
  },
  ...Object.entries(contents).map(([what, content]): ConnectionTest => ({
    title: `a message comes back as it was published: ${what}`,
    async run({ connection, stream, until }) {
      const { receipts, handle } = recorder();
      await connection.subscribe(stream, handle);
      const message = sample("1", "order-1", content);

      await connection.publish(stream, message);
      await until("the message came", () => receipts.length > 0);

      assertSameMessage(receipts[0]?.message, message);
    },
  })),
  {
    title: "a message comes back as it was published: any well-formed key and id",
    async run({ connection, stream, until }) {
      const { receipts, handle } = recorder();
      await connection.subscribe(stream, handle);
      const messages = hostile.map((text) => createMessage({ id: text, key: text, source: "kit", content: text }));

      await publishAll(connection, stream, messages);
      await until("all messages came", () => receipts.length >= messages.length);

      const byId = new Map(receipts.map(({ message }) => [message.id, message]));
      for (const message of messages) assertSameMessage(byId.get(message.id), message);
    },
  },
  {
    title: "any well-formed string but the empty one is a stream, and none reaches another's messages",
    async run({ connection, newStream, until }) {
      const names = await Promise.all([...new Set(hostileNames)].map((text) => newStream(text)));
      const got = new Map<string, string[]>(names.map((name) => [name, []]));
      const handle = (name: string) => async (_ctx: unknown, message: Message) => void got.get(name)?.push(String(message.content));
      await Promise.all(names.map((name) => connection.subscribe(name, handle(name))));

      await Promise.all(names.map((name) => connection.publish(name, sample("1", "order-1", name))));
      await until("every stream has its message", () => [...got.values()].every((each) => each.length > 0));

      for (const [name, received] of got) assert.deepEqual(received, [name]);
    },
  },
  {
    title: "a stream without a name is refused",
    async run({ connection }) {
      await assertCode(connection.publish("", sample("1")), "ERR_INVALID_OPTION", false);
      await assertCode(connection.subscribe("", recorder().handle), "ERR_INVALID_OPTION", false);
    },
  },
  {
    title: "messages of one key are published in the order of the calls, also when none of them is waited for",
    needs: ["keyOrder"],
    async run({ connection, stream, until }) {
      const { receipts, ids, handle } = recorder();
      await connection.subscribe(stream, handle, { concurrency: 1 });
      const messages = samples(300, 3);

      await Promise.all(messages.map((message) => connection.publish(stream, message)));
      await until("all messages came", () => receipts.length >= messages.length);

      for (const [key, sameKey] of Map.groupBy(receipts, ({ message }) => message.key)) {
        const expected = messages.filter((message) => message.key === key).map(({ id }) => id);
        assert.deepEqual(
          sameKey.map(({ message }) => message.id),
          expected,
          key,
        );
      }
      assert.equal(ids().length, messages.length);
    },
  },
  {
    title: "publishBatch settles each message by itself, in the order given",
    async run({ connection, stream }) {
      const settlements = await connection.publishBatch(stream, samples(50, 5));

      assert.deepEqual(
        settlements,
        Array.from({ length: 50 }, (_, index) => ({ status: "published", id: String(index) })),
      );
      assert.deepEqual(await connection.publishBatch(stream, []), []);
    },
  },
  {
    title: "a publisher that has closed takes nothing with it",
    needs: ["openAnother"],
    async run({ connection, stream, until, openAnother }) {
      const { receipts, handle } = recorder();
      await connection.subscribe(stream, handle);
      const publisher = await openAnother();

      const published = publishAll(publisher, stream, samples(50, 5));
      await publisher.close();
      await published;
      await until("all messages came", () => receipts.length >= 50);

      await assertCode(publisher.publish(stream, sample("late")), "ERR_CONNECTION_CLOSED", true);
    },
  },
];
