import { EventDriverError, invalidOption, quote } from "event-driver";

import { isAttributeName } from "./attribute-rules.ts";

export interface KeyOptions {
  /**
   * The attributes an event's key may stand in, in the order they are asked; an empty one counts as absent. `subject` is passed over where
   * it has the form `partition:P#O`, which is where Knative's Kafka source puts a record's position: that is the key of nothing.
   * @default ["key", "partitionkey", "subject"]
   */
  readonly keyFrom?: readonly string[] | undefined;
}

const defaultOrder: readonly string[] = ["key", "partitionkey", "subject"];

const recordPosition = /^partition:\d+#\d+$/;

/**
 * The order in which attributes are asked for the key.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 */
export function keyOrder(factory: string, { keyFrom = defaultOrder }: KeyOptions): readonly string[] {
  if (keyFrom.length === 0 || !keyFrom.every(isAttributeName)) {
    throw invalidOption(factory, "keyFrom", keyFrom.join(", "), "one or more attribute names of lower-case letters and digits");
  }
  return keyFrom;
}

/** The key that these attributes say, without the attribute `except`; `undefined` where they say none. */
export function keyIn(attributes: Readonly<Record<string, string>>, order: readonly string[], except?: string): string | undefined {
  for (const name of order) {
    const value = attributes[name];
    if (value === undefined || value === "" || name === except) continue;
    if (name !== "subject" || !recordPosition.test(value)) return value;
  }
  return undefined;
}

/** The error for an event without a key. */
export function noKey(id: string, order: readonly string[]): EventDriverError {
  return new EventDriverError("ERR_NO_KEY", {
    message: `event ${quote(id)} has no key: set one of its attributes ${order.join(", ")}, or name another in keyFrom`,
    retryable: false,
  });
}
