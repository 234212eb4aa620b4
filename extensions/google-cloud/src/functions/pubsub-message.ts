import type { Message } from "event-driver";

import { fromWire, type WireEvent } from "@event-driver/cloudevents";

import { deliveryFromJson, type PubsubDelivery } from "../receive/pubsub-envelope.ts";
import { messageOf, messagePublished, type PubsubMessageOptions } from "../receive/pubsub-message.ts";

/**
 * Takes a Pub/Sub message out of the event by which Eventarc tells of it: its data is unwrapped, and its attributes, ordering key and delivery
 * attempt become those of the message. Events of any other type become messages as they are.
 *
 * Use it as the `toMessage` of a function with a Pub/Sub trigger. The delivery attempt goes with the very message that it returns: a copy of that
 * would be a first attempt.
 *
 * @throws EventDriverError `ERR_INVALID_MESSAGE`, terminal, for data that is no Pub/Sub message; `ERR_INVALID_EVENT` for one that says it is a
 * CloudEvent and is none
 * @example functions.http("orders", toHttpFunction(orders, { toMessage: pubsubMessage() }));
 */
export function pubsubMessage(options: PubsubMessageOptions = {}): (event: WireEvent) => Message {
  const { keyFrom } = options;
  return (event) => {
    const { type, source = "", traceparent } = event.attributes;
    if (type !== messagePublished) return fromWire(event, { keyFrom });
    const delivery = deliveryFromJson(event.data);
    return messageOf(traceparent === undefined ? delivery : traced(delivery, traceparent), source, options);
  };
}

/** The trace that Eventarc continues, unless the message carries one of its own. */
function traced({ message, ...rest }: PubsubDelivery, traceparent: string): PubsubDelivery {
  return { ...rest, message: { ...message, attributes: { traceparent, ...message.attributes } } };
}
