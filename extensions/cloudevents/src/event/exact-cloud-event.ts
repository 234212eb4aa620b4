import { CloudEvent } from "cloudevents";
import { toBase64 } from "event-driver";

import type { WireEvent } from "./wire-event.ts";

import { structuredJson } from "../http/structured-json.ts";
import { saysJson, textWhereText } from "./wire-data.ts";

/**
 * The SDK's class where it writes an event other than it is: `toJSON` cuts a time to milliseconds and fails without one, `toString` writes
 * JSON data anew.
 */
class ExactCloudEvent extends CloudEvent<unknown> {
  override toJSON(): Record<string, unknown> {
    const { data, ...attributes } = this;
    if (data === undefined) return attributes;
    return data instanceof Uint8Array ? { ...attributes, data_base64: toBase64(data) } : { ...attributes, data };
  }

  override toString(): string {
    return structuredJson(wires.get(this) ?? { attributes: {}, data: undefined });
  }
}

/** What each event was made from. Its data is frozen, so the two never differ. */
const wires: WeakMap<object, WireEvent> = new WeakMap();

/** A frozen event of the SDK that knows what it was made from. */
export function exactCloudEvent(wire: WireEvent): CloudEvent<unknown> {
  // Not by the SDK's constructor: it would put the present time in the place of an absent one.
  const event: CloudEvent<unknown> = Object.create(ExactCloudEvent.prototype);
  Object.assign(event, wire.attributes);
  if (wire.data !== undefined) event.data = valueOf(wire.data, wire.attributes["datacontenttype"]);
  wires.set(event, wire);
  return Object.freeze(event);
}

/** What an event made by {@link exactCloudEvent} was made from. */
export function wireOf(event: object): WireEvent | undefined {
  return wires.get(event);
}

function valueOf(given: string | Uint8Array, contentType: string | undefined): unknown {
  const data = textWhereText(given, contentType);
  if (typeof data !== "string" || !saysJson(contentType)) return data;
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    // It says JSON and is none: bytes are what every reader can have of it.
    return new TextEncoder().encode(data);
  }
  freezeAll(value);
  return value;
}

function freezeAll(root: unknown): void {
  const waiting: unknown[] = [root];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== "object" || value === null) continue;
    Object.freeze(value);
    for (const child of Object.values(value)) waiting.push(child);
  }
}
