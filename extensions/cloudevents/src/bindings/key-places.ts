import { invalidOption } from "event-driver";

import { keyIn, type KeyOptions, keyOrder } from "../event/key.ts";
import { partNames } from "../event/wire-event.ts";

/** Where a key is looked for. */
export interface KeyPlaces {
  /** The attributes, in the order they are asked. */
  readonly order: readonly string[];
  /** Those that are asked before the record's own key, which stands in the place of `partitionkey`. */
  readonly beforeRecordKey: readonly string[];
  /** The attribute that a key is written to where none says it yet. */
  readonly carrier: string | undefined;
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function keyPlaces(factory: string, options: KeyOptions): KeyPlaces {
  const order = keyOrder(factory, options);
  // Which a record may have another of than its message.
  if (order.includes("datacontenttype"))
    throw invalidOption(factory, "keyFrom", "datacontenttype", "attributes that say something of the event");
  const place = order.indexOf("partitionkey");
  return {
    order,
    beforeRecordKey: place === -1 ? order : order.slice(0, place + 1),
    carrier: order.find((name) => !partNames.has(name)),
  };
}

/** The key that the attributes and the record say, without the attribute `except`; `undefined` where they say none. */
export function statedKey(
  attributes: Readonly<Record<string, string>>,
  recordKey: string | undefined,
  places: KeyPlaces,
  except?: string,
): string | undefined {
  if (!recordKey) return keyIn(attributes, places.order, except);
  return keyIn(attributes, places.beforeRecordKey, except) ?? recordKey;
}
