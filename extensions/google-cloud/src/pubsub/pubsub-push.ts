import { fetchHandler, receiver, type Receiver, type ReceiverOptions } from "@event-driver/cloudevents";
import type { Processor } from "event-driver";

import { countingAttempts } from "../receive/attempts.ts";
import { handOverTerminal, type TerminalOptions } from "../receive/on-terminal.ts";
import { deliveryFromHeader, deliveryFromJson, isUnwrapped } from "../receive/pubsub-envelope.ts";
import { messageOf, type PubsubMessageOptions } from "../receive/pubsub-message.ts";

type OwnOptions = "allowedOrigins" | "allowedRate" | "batchEvents" | "bodyBytes" | "jsonDepth" | "keyFrom" | "readEvents" | "toMessage";

export interface PubsubPushOptions extends Omit<ReceiverOptions, OwnOptions>, PubsubMessageOptions, TerminalOptions {
  /**
   * Largest body, in bytes. More is answered with 413, which Pub/Sub takes for "not yet".
   * @default 16_777_216 (16 MiB), which holds the largest message there is
   */
  readonly bodyBytes?: number | undefined;
  /**
   * Names of attributes that an unwrapped message is given from the header of its request, beside those of a CloudEvent. The others cannot be told
   * from the header fields of whoever carried the request, such as its credentials.
   * @default none
   */
  readonly attributeHeaders?: readonly string[] | undefined;
}

/** Receives what a push subscription of Pub/Sub sends. */
export interface PubsubPush extends Receiver {
  /** The same for platforms that speak in `Request` and `Response`. */
  readonly fetch: (request: Request) => Promise<Response>;
}

/**
 * Runs every message that a Pub/Sub push subscription delivers through a pipeline, wrapped or unwrapped, and acknowledges it when it is done.
 *
 * The ordering key becomes the key, `ctx.attempt` the delivery attempt. A message that carries a CloudEvent becomes that. Pub/Sub takes any status
 * but 2xx for "not yet", so give `onTerminal` or a dead letter stage to what can never succeed, and `authenticate` to keep strangers out.
 *
 * Set an unwrapped subscription to write its metadata: without it a message has no id, and is not acknowledged.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example await pubsubPush(orders, { authenticate: googleOidc({ audience, emails }) }).listen({ port: 8080, host: "0.0.0.0" });
 */
export function pubsubPush(pipeline: Processor, options: PubsubPushOptions = {}): PubsubPush {
  const { key, keyFrom, source, attributeHeaders = [], bodyBytes = 16_777_216, onTerminal, toResult, ...rest } = options;
  const settings: ReceiverOptions = {
    ...rest,
    bodyBytes,
    readEvents: (body) => [{ attributes: {}, data: body }],
    toMessage({ data = "" }, request) {
      const delivery =
        isUnwrapped(request) && data instanceof Uint8Array ? deliveryFromHeader(request, data, attributeHeaders) : deliveryFromJson(data);
      return messageOf(delivery, `//pubsub.googleapis.com/${delivery.subscription ?? ""}`, { key, keyFrom, source });
    },
    toResult: onTerminal === undefined ? toResult : handOverTerminal(onTerminal, toResult),
  };
  const counting = countingAttempts(pipeline);
  return { ...receiver(counting, settings), fetch: fetchHandler(counting, settings) };
}
