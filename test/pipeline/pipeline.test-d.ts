import { describe, expectTypeOf, test } from "vitest";
import { z } from "zod";

import { type Context, createContext, deriveContext } from "../../src/context.ts";
import { concurrency } from "../../src/handlers/concurrency.ts";
import { deadLetter } from "../../src/handlers/dead-letter/dead-letter.ts";
import { decode, type DecodedMessage } from "../../src/handlers/decode/decode.ts";
import { encode } from "../../src/handlers/decode/encode.ts";
import { filter } from "../../src/handlers/filter.ts";
import { retry } from "../../src/handlers/retry.ts";
import { tap } from "../../src/handlers/tap.ts";
import { timeout } from "../../src/handlers/timeout.ts";
import { identity } from "../../src/handlers/transformer/identity.ts";
import { transformer } from "../../src/handlers/transformer/transformer.ts";
import { type Message, type StorableContent, withContent } from "../../src/message.ts";
import type { AnyMessage, Handler, Next, PassThrough, StageFunction } from "../../src/pipeline/handler.ts";
import { type Fits, type Pipeline, pipeline, type Processor } from "../../src/pipeline/pipeline.ts";
import { memoryEventStore } from "../../src/stores/memory-event-store.ts";

const Order = z.object({ total: z.number(), note: z.string().default("") });
type Order = z.output<typeof Order>;

interface OrderMessage extends Message {
  readonly type: "order.created";
}

const isOrder = (message: Message): message is OrderMessage => message.type === "order.created";
const storing: Handler = { traits: { name: "storing" }, process: (ctx, message, next) => next(ctx, message) };
const tenancy: PassThrough<{ readonly tenant: string }> = {
  process: (ctx, message, next) => next(deriveContext(ctx, { tenant: "acme" }), message),
};

describe("what a stage is given", () => {
  test("at first, is a message with text or bytes and a plain context", () => {
    pipeline().use(async (ctx, message, next) => {
      expectTypeOf(ctx).toEqualTypeOf<Context>();
      expectTypeOf(message.content).toEqualTypeOf<StorableContent>();
      expectTypeOf(next).toEqualTypeOf<Next<Context, Message>>();
    });
  });

  test("is what the pipeline is said to take", () => {
    const orders = pipeline<Message<Order>>();

    orders.use(async (_ctx, order) => {
      expectTypeOf(order.content).toEqualTypeOf<Order>();
    });
    expectTypeOf<Parameters<typeof orders.process>[1]>().toEqualTypeOf<Message<Order>>();
  });

  test("behind decode, is what the schema makes of the content, and not what it takes", () => {
    pipeline()
      .use(decode(Order))
      .use(async (_ctx, order) => {
        expectTypeOf(order.content).toEqualTypeOf<{ total: number; note: string }>();
      });
  });

  test("behind decode of a transforming schema, is the transformed", () => {
    pipeline()
      .use(decode(z.string().transform((text) => text.length)))
      .use(async (_ctx, message) => {
        expectTypeOf(message.content).toEqualTypeOf<number>();
      });
  });

  test("behind encode, is text", () => {
    pipeline()
      .use(decode(Order))
      .use(encode())
      .use(async (_ctx, message) => {
        expectTypeOf(message.content).toEqualTypeOf<string>();
      });
  });

  test("behind a filter with a type guard, is what the guard proves", () => {
    pipeline()
      .use(filter(isOrder))
      .use(async (_ctx, message) => {
        expectTypeOf(message).toEqualTypeOf<OrderMessage>();
      });
    pipeline()
      .use(filter((message: Message): message is OrderMessage => isOrder(message)))
      .use(async (_ctx, message) => {
        expectTypeOf(message).toEqualTypeOf<OrderMessage>();
      });
  });

  test("behind a filter without one, a tap, retry, timeout and concurrency, is what came in", () => {
    pipeline()
      .use(decode(Order))
      .use(filter((message) => message.key !== ""))
      .use(filter((order: Message<Order>) => order.content.total > 0))
      .use(
        tap((message) => {
          expectTypeOf(message.content).toEqualTypeOf<unknown>();
        }),
      )
      .use(
        tap((order: Message<Order>) => {
          expectTypeOf(order.content).toEqualTypeOf<Order>();
        }),
      )
      .use(retry())
      .use(timeout({ after: 100 }))
      .use(concurrency({ limit: 1 }))
      .use(async (_ctx, order) => {
        expectTypeOf(order.content).toEqualTypeOf<Order>();
      });
  });

  test("behind an inline stage that changes the type, is what its annotated next takes", () => {
    pipeline()
      .use((ctx, message, next: Next<Context, Message<number>>) => next(ctx, withContent(message, message.content.length)))
      .use(async (_ctx, message) => {
        expectTypeOf(message.content).toEqualTypeOf<number>();
      });
  });

  test("and what an inline stage passes on must be what comes in, where next is not annotated", () => {
    // @ts-expect-error a number is no storable content
    expectTypeOf(pipeline().use((ctx, message, next) => next(ctx, withContent(message, 12)))).not.toBeAny();
  });
});

describe("what a handler adds to the context", () => {
  test("is there behind it, through other stages and more additions", () => {
    const greeting: PassThrough<{ readonly greeting: string }> = {
      process: (ctx, message, next) => next(deriveContext(ctx, { greeting: "hello" }), message),
    };

    pipeline()
      .use(tenancy)
      .use(decode(Order))
      .use(retry())
      .use(greeting)
      .use(async (ctx) => {
        expectTypeOf(ctx.tenant).toEqualTypeOf<string>();
        expectTypeOf(ctx.greeting).toEqualTypeOf<string>();
      });
  });

  test("is not there in front of it", () => {
    // @ts-expect-error the tenant is added only behind
    expectTypeOf(pipeline().use(async (ctx) => void ctx.tenant)).not.toBeAny();
  });

  test("must be passed on by whoever says it adds it", () => {
    const forgetful: PassThrough<{ readonly tenant: string }> = {
      // @ts-expect-error the tenant is missing
      process: (ctx, message, next) => next(ctx, message),
    };

    expectTypeOf(forgetful).toExtend<PassThrough<{ readonly tenant: string }>>();
  });

  test("comes with a handler that changes the message, too", () => {
    const counting: Handler<Message, Message<number>, { readonly count: number }> = {
      process: (ctx, message, next) => next(deriveContext(ctx, { count: 1 }), withContent(message, 1)),
    };

    pipeline()
      .use(counting)
      .use(async (ctx, message) => {
        expectTypeOf(ctx.count).toEqualTypeOf<number>();
        expectTypeOf(message.content).toEqualTypeOf<number>();
      });
  });
});

describe("a stage that cannot take what arrives", () => {
  const decoded = pipeline().use(decode(Order));

  test("does not compile: decoded content into one that stores", () => {
    // @ts-expect-error decoded content cannot be stored
    expectTypeOf(decoded.use(storing)).not.toBeAny();
  });

  test("does not compile: decoded content into a transformer, a second decode or a dead letter", () => {
    // @ts-expect-error rules work on text and bytes
    expectTypeOf(decoded.use(transformer(identity()))).not.toBeAny();
    // @ts-expect-error it is decoded already
    expectTypeOf(decoded.use(decode(Order))).not.toBeAny();
    // @ts-expect-error decoded content cannot be put aside
    expectTypeOf(decoded.use(deadLetter({ store: memoryEventStore() }))).not.toBeAny();
  });

  test("does not compile: a handler or function of one type behind a decode of another", () => {
    const charge: Handler<Message<{ amount: number }>> = { process: (ctx, message, next) => next(ctx, message) };
    const record: StageFunction<Context, Message<{ amount: number }>> = (ctx, message, next) => next(ctx, message);

    // @ts-expect-error an order has no amount
    expectTypeOf(decoded.use(charge)).not.toBeAny();
    // @ts-expect-error an order has no amount
    expectTypeOf(decoded.use(record)).not.toBeAny();
  });

  test("does not compile: a filter or a tap that looks for what is not there", () => {
    // @ts-expect-error the content is not decoded yet
    expectTypeOf(pipeline().use(filter((order: Message<Order>) => order.content.total > 0))).not.toBeAny();
    // @ts-expect-error the content is not decoded yet
    expectTypeOf(pipeline().use(tap((order: Message<Order>) => void order.content.total))).not.toBeAny();
  });

  test("does not compile: content into an encode whose schema does not take it", () => {
    expectTypeOf(decoded.use(encode(z.object({ total: z.number() })))).toExtend<Processor>();
    // @ts-expect-error an order has no amount
    expectTypeOf(decoded.use(encode(z.object({ amount: z.number() })))).not.toBeAny();
  });

  test("compiles again behind encode", () => {
    const store = memoryEventStore();

    expectTypeOf(decoded.use(encode()).use(storing).use(deadLetter({ store })).use(decode(Order))).toExtend<Processor>();
  });

  test("compiles where decoded content happens to be text", () => {
    expectTypeOf(pipeline().use(decode(z.string())).use(storing)).toExtend<Processor>();
  });

  test("is told so in a sentence", () => {
    expectTypeOf<
      keyof Fits<Message<Order>, Message>
    >().toEqualTypeOf<"this stage cannot take the message that arrives here: move it, or convert the content in front of it">();
    expectTypeOf<Fits<Message, Message>>().toEqualTypeOf<unknown>();
    expectTypeOf<Fits<Message<Order>, AnyMessage>>().toEqualTypeOf<unknown>();
  });
});

describe("a pipeline", () => {
  test("says what it takes, what its last stage passes on, and what the context holds by then", () => {
    const orders = pipeline().use(tenancy).use(decode(Order));

    expectTypeOf(orders).toEqualTypeOf<Pipeline<Message, DecodedMessage<Order>, Context & { readonly tenant: string }>>();
  });

  test("is run with the message it takes", () => {
    const run = (message: Message<Order>): Promise<void> => pipeline<Message<Order>>().process(createContext(), message);
    // @ts-expect-error text is no order
    const wrong = (message: Message): Promise<void> => pipeline<Message<Order>>().process(createContext(), message);

    expectTypeOf(run).parameter(0).toEqualTypeOf<Message<Order>>();
    expectTypeOf(wrong).parameter(0).toEqualTypeOf<Message>();
  });

  test("does not take something that is no stage", () => {
    // @ts-expect-error a stage returns a promise
    expectTypeOf(pipeline().use((ctx) => ctx.attempt)).not.toBeAny();
    // @ts-expect-error a stage has process
    expectTypeOf(pipeline().use({ traits: { name: "empty" } })).not.toBeAny();
  });
});
