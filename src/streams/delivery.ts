import type { Message } from "../message.ts";

import type { Context } from "../context.ts";

/** One message as a broker has handed it over, and what the broker says of it. */
export interface Delivery {
  readonly message: Message;
  /** The stream it was read from; `message.source` is where it came from in the first place. */
  readonly stream: string;
  /** Where it is in its stream or partition, in the broker's own words. */
  readonly position: string;
  /** The partition, where the broker has such. */
  readonly partition: string | undefined;
  /** 1 for the first time, one more for each further one, as far as the broker can tell. */
  readonly attempt: number;
  /** Whether it was handed out before. */
  readonly redelivered: boolean;
  /** When the broker took it, in epoch milliseconds. */
  readonly publishedAt: number | undefined;
  /** By when the broker wants it settled or extended, in epoch milliseconds; where it waits for ever, `undefined`. */
  readonly ackTime: number | undefined;
}

/** @internal What tells of its delivery when it is asked: hardly any handler does. */
export interface DeliverySource {
  delivery(): Delivery;
}

/** @internal Where a context has the one that {@link deliveryOf} asks. */
export const deliverySource: unique symbol = Symbol("delivery");

/**
 * The delivery that a handler is working on; `undefined` where the message came another way, or in a batch.
 *
 * @example
 * connection.subscribe("orders", async (ctx, order) => {
 *   ctx.logger.info({ position: deliveryOf(ctx)?.position }, "an order came");
 * });
 */
export function deliveryOf(ctx: Context): Delivery | undefined {
  const source: DeliverySource | undefined = Reflect.get(ctx, deliverySource);
  return source?.delivery();
}
