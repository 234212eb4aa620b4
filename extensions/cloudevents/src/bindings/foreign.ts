import { createMessage, type Message } from "event-driver";

import type { EventRecord, RecordPlace } from "./binding.ts";

import { isAttributeName } from "../event/attribute-rules.ts";
import { textWhereText } from "../event/wire-data.ts";
import { partNames } from "../event/wire-event.ts";
import { plainBytes, textOfHeader } from "./header-text.ts";
import { contentTypeName, type Protocol } from "./protocol.ts";
import { keyOf, placeText } from "./record-place.ts";

/** The message that a record becomes which no producer of CloudEvents wrote. */
export function foreignMessage(record: EventRecord, place: RecordPlace, protocol: Protocol): Message {
  const id = placeText(place);
  const attributes = attributesOf(record, protocol);
  return createMessage({
    id,
    key: keyOf(record) ?? id,
    source: place.stream,
    content: record.body === null ? "" : textWhereText(plainBytes(record.body), attributes["datacontenttype"]),
    attributes,
  });
}

/** Headers whose names attributes can have, the first of each name. */
function attributesOf({ headers, contentType, body }: EventRecord, protocol: Protocol): Record<string, string> {
  const attributes: Record<string, string> = Object.create(null);
  if (contentType) attributes["datacontenttype"] = contentType;
  for (const [header, value] of headers) {
    const given = header.toLowerCase();
    const name = given === contentTypeName ? "datacontenttype" : given;
    if (value === null || partNames.has(name) || name === "key" || !isAttributeName(name) || attributes[name] !== undefined) continue;
    const text = textOfHeader(value, protocol.bytes);
    if (text?.isWellFormed()) attributes[name] = text;
  }
  if (body === null) attributes["tombstone"] = "true";
  return attributes;
}
