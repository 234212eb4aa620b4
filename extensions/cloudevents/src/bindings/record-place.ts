import { toBase64 } from "event-driver";

import type { EventRecord, RecordPlace } from "./binding.ts";

import { utf8 } from "../http/utf8.ts";

/** The place of a record as text: the id of what has no other. */
export function placeText({ partition, position }: RecordPlace): string {
  return partition === undefined ? position : `${partition}/${position}`;
}

/** The record's own key: as text where it is UTF-8, else in base64; `undefined` where it has none. */
export function keyOf({ key }: EventRecord): string | undefined {
  if (key === null || key === undefined || typeof key === "string") return key ?? undefined;
  return utf8(key) ?? toBase64(key);
}
