import { describe, expectTypeOf, test } from "vitest";
import { z } from "zod";

import {
  bytesCodec,
  type Codec,
  decodeAny,
  decodeWith,
  emptyCodec,
  encodeMessage,
  jsonCodec,
  stringCodec,
} from "../../src/codecs/index.ts";
import { joiner } from "../../src/handlers/joiner/joiner.ts";
import { matchAll } from "../../src/handlers/joiner/condition.ts";
import { createMessage, type Message, withContent } from "../../src/message.ts";
import { pipeline } from "../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";

const orders = jsonCodec(z.object({ total: z.number(), note: z.string().default("") }));
const message = createMessage({ key: "order-1", source: "shop", content: "" });

describe("what comes out of decodeWith", () => {
  test("is of the codec's type", () => {
    pipeline()
      .use(decodeWith(orders))
      .use(async (_ctx, order) => {
        expectTypeOf(order.content).toEqualTypeOf<{ total: number; note: string }>();
        expectTypeOf(order.encoded).toEqualTypeOf<Message>();
      });
  });

  test("is of any of the codecs' types behind decodeAny", () => {
    pipeline()
      .use(decodeAny([orders, stringCodec(), emptyCodec()]))
      .use(async (_ctx, order) => {
        expectTypeOf(order.content).toEqualTypeOf<{ total: number; note: string } | string | undefined>();
      });
  });

  test("cannot be given to a joiner", () => {
    const join = joiner({ store: memoryEventStore(), condition: matchAll("a", "b") });

    expectTypeOf(pipeline().use(join).use(decodeWith(orders))).toHaveProperty("process");
    // @ts-expect-error: a store keeps text and bytes
    pipeline().use(decodeWith(orders)).use(join);
  });
});

test("each codec has the type of its values", () => {
  expectTypeOf(jsonCodec()).toEqualTypeOf<Codec<unknown>>();
  expectTypeOf(bytesCodec()).toEqualTypeOf<Codec<Uint8Array>>();
  expectTypeOf(stringCodec()).toEqualTypeOf<Codec<string>>();
});

test("encodeMessage takes what the codec can write, and makes what can be stored", () => {
  expectTypeOf(encodeMessage(withContent(message, { total: 1, note: "" }), orders)).toEqualTypeOf<Message>();
  // @ts-expect-error: the total is no text
  encodeMessage(withContent(message, { total: "1", note: "" }), orders);
});
