import assert from "node:assert/strict";

import type { EventStore } from "../../stores/event-store.ts";
import type { KitTest } from "./kit-test.ts";

import { createMessage, type Message, type StorableContent } from "../../message.ts";
import { everyHostileString } from "./hostile-strings.ts";
import { assertSameMessage, sample } from "./kit-test.ts";
import { seededRandom } from "./random.ts";

const everyPart: Message = createMessage({
  id: "id-1",
  key: "order-1",
  source: "event1",
  origin: "https://shop.example/orders?region=eu#event1",
  type: "order.created",
  time: "2024-02-29T23:59:59.123456789+05:30",
  content: '{"total": 1.10, "number": 12345678901234567890}',
  attributes: { correlationid: "c-1", datacontenttype: "application/json; charset=utf-8", empty: "" },
});

export const messageTests: readonly KitTest[] = [
  {
    title: "a message comes back as it went in: every part",
    run: ({ store }) => comesBack(store, [everyPart]),
  },
  {
    title: "a message comes back as it went in: what is absent stays absent",
    run: ({ store }) => comesBack(store, [createMessage({ id: "", key: "order-1", source: "event1", content: "" })]),
  },
  {
    title: "a message comes back as it went in: text as text",
    run: ({ store }) =>
      comesBack(store, asMessages(["", "e30=", "{}", " \n", "null", "\uFEFFtext", "a\0b", "1e400", "1.10", "é", "e\u0301", "😀"])),
  },
  {
    title: "a message comes back as it went in: text with lone surrogates",
    run: ({ store }) => comesBack(store, asMessages(["\uD800", "a\uDFFFb", "\uDC00\uD800", "\uFFFD"])),
  },
  {
    title: "a message comes back as it went in: bytes as bytes",
    run: ({ store }) =>
      comesBack(
        store,
        asMessages([
          new Uint8Array(),
          new TextEncoder().encode("text"),
          Uint8Array.of(0),
          Uint8Array.of(0xef, 0xbb, 0xbf, 0x61),
          Uint8Array.of(0xff, 0xfe, 0xc3, 0x28),
          Uint8Array.from({ length: 256 }, (_, index) => index),
        ]),
      ),
  },
  {
    title: "a message comes back as it went in: bytes that are part of a larger buffer",
    async run({ store }) {
      const buffer = Uint8Array.from({ length: 100 }, (_, index) => index);

      await store.persist(sample("order-1", "event1", buffer.subarray(10, 13)));

      assertSameMessage((await store.lookUp("order-1", "event1"))?.message, sample("order-1", "event1", Uint8Array.of(10, 11, 12)));
    },
  },
  {
    title: "a message comes back as it went in: attributes of any name and value",
    async run({ store }) {
      const attributes = Object.fromEntries(everyHostileString.map((text) => [text, `value of ${text}`]));

      await comesBack(store, [createMessage({ ...everyPart, attributes })]);
    },
  },
  {
    title: "a message comes back as it went in: a mebibyte of text, and of bytes",
    run: ({ store }) => comesBack(store, asMessages(["€uro".repeat(2 ** 18), new Uint8Array(2 ** 20).fill(0x80)])),
  },
  {
    title: "a message comes back as it went in: random ones",
    async run({ store }) {
      const random = seededRandom(1);

      for (let index = 0; index < 100; index += 1) await comesBack(store, [random.message()]);
    },
  },
  {
    title: "a message comes back as it went in, whatever becomes of the caller's own",
    async run({ store }) {
      const bytes = Uint8Array.of(1, 2, 3);
      const given = { ...sample("order-1", "event1", bytes) };
      await store.persist(given);

      bytes.fill(9);
      Object.assign(given, { id: "another", key: "another", source: "another", content: "another" });

      assertSameMessage((await store.lookUp("order-1", "event1"))?.message, sample("order-1", "event1", Uint8Array.of(1, 2, 3)));
    },
  },
  {
    title: "a message comes back as it went in, whatever became of one that was read",
    async run({ store }) {
      await store.persist(sample("order-1", "event1", Uint8Array.of(1, 2, 3)));
      const read = [await store.lookUp("order-1", "event1"), ...(await store.lookUpByKey("order-1"))];

      for (const entry of read) {
        assert.ok(entry !== undefined && typeof entry.message.content !== "string", "bytes come back as bytes");
        entry.message.content.fill(9);
        Object.assign(entry.message, { id: "another", key: "another", source: "another", content: "another" });
      }

      const expected = sample("order-1", "event1", Uint8Array.of(1, 2, 3));
      assertSameMessage((await store.lookUp("order-1", "event1"))?.message, expected);
      assertSameMessage((await store.lookUpByKey("order-1"))[0]?.message, expected);
    },
  },
];

function asMessages(contents: readonly StorableContent[]): readonly Message[] {
  return contents.map((content, index) => sample("order-1", `event${index}`, content));
}

/** Read alone and with the rest of its key. */
async function comesBack(store: EventStore, messages: readonly Message[]): Promise<void> {
  for (const message of messages) await store.persist(message);

  for (const message of messages) {
    assertSameMessage((await store.lookUp(message.key, message.source))?.message, message);
    const ofItsKey = await store.lookUpByKey(message.key);
    assertSameMessage(ofItsKey.find((entry) => entry.message.source === message.source)?.message, message);
  }
}
