import type { CloseOptions, Subscription } from "./connection.ts";
import type { SubscribeRequest, TransportSubscription } from "./transport.ts";

import { invalidOption } from "../errors.ts";

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
  /** Called once, when it has ended. */
  readonly onEnded: (subscription: OpenSubscription) => void;
}

/** A subscription that stops the deliveries, then drains what came, then leaves: in that order, so that all that was begun can be settled. */
export function openSubscription({ request, transport, consumer, onEnded }: OpenSubscriptionOptions): OpenSubscription {
  let ending: Promise<void> | undefined;

  const end = async (limit: number, leave: () => Promise<void>): Promise<void> => {
    try {
      await transport.stop();
    } finally {
      try {
        await consumer.drain(limit);
      } finally {
        onEnded(subscription);
        await leave();
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
