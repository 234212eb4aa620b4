import { type AnyMessage, decode, type DecodedMessage, type Message, pipeline, type Processor } from "event-driver";
import { expectTypeOf, test } from "vitest";
import { z } from "zod";

import type { BigQuerySink } from "../../../src/bigquery/sink/sink-over.ts";
import type { TableValue } from "../../../src/bigquery/sink/sink-options.ts";

import { bigQuerySink } from "../../../src/bigquery/sink/bigquery-sink.ts";

const target = { dataset: "shop", table: "orders" };
const Order = z.object({ total: z.string() });

test("behind decode, toRow reads typed content, and the stage behind still has it", () => {
  const sink = bigQuerySink({
    ...target,
    toRow: (order: DecodedMessage<z.infer<typeof Order>>) => ({ id: order.id, total: order.content.total }),
  });

  const orders = pipeline().use(decode(Order)).use(sink);

  orders.use(async (_ctx, order) => {
    expectTypeOf(order.content.total).toEqualTypeOf<string>();
  });
});

test("without an annotation a message is as it came", () => {
  bigQuerySink({ ...target, toRow: (message) => (expectTypeOf(message).toEqualTypeOf<Message>(), { id: message.id }) });
});

test("a sink for decoded content does not stand where none is", () => {
  const sink = bigQuerySink({ ...target, toRow: (order: DecodedMessage<{ total: string }>) => ({ total: order.content.total }) });

  expectTypeOf(sink).toEqualTypeOf<BigQuerySink<DecodedMessage<{ total: string }>>>();
  // @ts-expect-error nothing has been decoded in front of it
  pipeline().use(sink);
});

test("a sink that reads no content stands anywhere", () => {
  const sink = bigQuerySink({ ...target, toRow: (message: AnyMessage) => ({ id: message.id }) });

  expectTypeOf(pipeline().use(sink)).toExtend<Processor>();
});

test("a value that no column can hold does not compile", () => {
  expectTypeOf<() => string>().not.toExtend<TableValue>();
  // @ts-expect-error a function is no value
  bigQuerySink({ ...target, toRow: (message) => ({ id: () => message.id }) });
});
