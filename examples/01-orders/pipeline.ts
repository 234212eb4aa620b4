import {
  type Context,
  decode,
  type DecodedMessage,
  eraseContentFromSources,
  type EventStore,
  idempotency,
  joiner,
  matchAll,
  pipeline,
  type Processor,
  transformer,
} from "event-driver";
import { z } from "zod";

/** event1 only says that the order was made, so its content is erased; the other two may be any JSON objects. */
export interface Order {
  readonly event1: "";
  readonly event2: Readonly<Record<string, unknown>>;
  readonly event3: Readonly<Record<string, unknown>>;
}

const schema: z.ZodType<Order> = z.object({
  event1: z.literal(""),
  event2: z.record(z.string(), z.unknown()),
  event3: z.record(z.string(), z.unknown()),
});

/** What happens to an order, once. Failing fails the event that completed the order, and its sender delivers that again. */
export type ChargeOrder = (ctx: Context, order: DecodedMessage<Order>) => Promise<void>;

/** Charges each order once, when event1, event2 and event3 have come for its key: in any order, repeated, and in parallel. */
export function orderPipeline(store: EventStore, charge: ChargeOrder): Processor {
  return pipeline()
    .use(transformer(eraseContentFromSources("event1")))
    .use(joiner({ store, condition: matchAll("event1", "event2", "event3") }))
    .use(idempotency({ store }))
    .use(decode(schema))
    .use((ctx, order) => charge(ctx, order));
}
