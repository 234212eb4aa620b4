import type { Clock } from "../clock.ts";
import type { Logger } from "../context.ts";
import type { CloseOptions, Subscription } from "./connection.ts";
import type { SubscribeRequest, TransportSubscription } from "./transport.ts";

import { invalidOption } from "../errors.ts";
import { endsWithin, goodbye } from "./ends-within.ts";

/** What stands between a transport and whoever handles what it delivers. */
export interface Drainable {
  readonly inFlight: number;
  drain(limit: number): Promise<void>;
}

/** A subscription as its connection keeps it. */
export interface OpenSubscription extends Subscription {
  readonly inFlight: number;
}

export interface OpenSubscriptionOptions {
  readonly request: Pick<SubscribeRequest<unknown>, "stream" | "name">;
  readonly transport: TransportSubscription;
  readonly consumer: Drainable;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called once, when it has ended. */
  readonly onEnded: (subscription: OpenSubscription) => void;
}

/**
 * A subscription that stops the deliveries, then drains what came, then leaves: in that order, so that all that was begun can be settled.
 *
 * A broker that does not answer holds nothing up for longer than the limit, and {@link goodbye} in the end.
 */
export function openSubscription(options: OpenSubscriptionOptions): OpenSubscription {
  const { request, transport, consumer, clock, logger, onEnded } = options;
  let ending: Promise<void> | undefined;

  const bounded = async (limit: number, what: string, asked: Promise<void>): Promise<void> => {
    const { stream, name } = request;
    if (!(await endsWithin(clock, limit, asked)))
      logger.warn({ stream, name, limit }, `the broker has not answered a subscription that ${what}`);
  };
  const end = async (limit: number, leave: () => Promise<void>): Promise<void> => {
    const giveUpAt = clock.now() + limit;
    try {
      await bounded(Math.max(limit, goodbye), "stops", transport.stop());
    } finally {
      try {
        await consumer.drain(Math.max(0, giveUpAt - clock.now()));
      } finally {
        onEnded(subscription);
        await bounded(goodbye, "leaves", leave());
      }
    }
  };
  const subscription: OpenSubscription = {
    stream: request.stream,
    name: request.name,
    get inFlight() {
      return consumer.inFlight;
    },
    async unsubscribe(options) {
      const limit = limitOf("unsubscribe", options);
      await (ending ??= end(limit, () => transport.forget()));
    },
    async close(options) {
      const limit = limitOf("close", options);
      await (ending ??= end(limit, () => transport.close()));
    },
  };
  return subscription;
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function limitOf(factory: string, { limit = 30_000 }: CloseOptions = {}): number {
  if (!(limit >= 0)) throw invalidOption(factory, "limit", limit, "milliseconds from 0");
  return limit;
}
