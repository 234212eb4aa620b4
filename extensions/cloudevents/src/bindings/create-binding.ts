import { EventDriverError, invalidOption, isEventDriverError, type Message, quote } from "event-driver";

import type { Binding, BindingOptions, EventRecord, ForeignRecords, RecordPlace } from "./binding.ts";
import type { Protocol } from "./protocol.ts";

import { invalidEvent } from "../event/attribute-rules.ts";
import { requireMode } from "../http/http-encode.ts";
import { foreignMessage } from "./foreign.ts";
import { LineNames } from "./header-lines.ts";
import { headerNames } from "./header-names.ts";
import { plainBytes } from "./header-text.ts";
import { keyPlaces } from "./key-places.ts";
import { type Reading, readRecord } from "./read-record.ts";
import { keyOf, placeText } from "./record-place.ts";
import { remembered } from "./remembered.ts";
import { textEncoding } from "./text-encoding.ts";
import { writeRecord, type Writing } from "./write-record.ts";

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function createBinding(protocol: Protocol, options: BindingOptions): Binding {
  const { mode = "binary", foreign = "accept" } = options;
  requireMode(protocol.factory, mode);
  if (foreign !== "accept" && foreign !== "refuse" && typeof foreign !== "function") {
    throw invalidOption(protocol.factory, "foreign", foreign, '"accept", "refuse" or a function');
  }
  const places = keyPlaces(protocol.factory, options);
  const placeOf = headerNames(protocol);
  const reading: Reading = { protocol, places, placeOf, lineNames: new LineNames(placeOf) };
  const writing: Writing = {
    protocol,
    mode,
    places,
    nameOf: remembered((attribute) => protocol.prefix + attribute),
    encode: textEncoding(),
  };

  return {
    write: (message) => writeRecord(message, writing),
    read(record, place) {
      try {
        return { message: readRecord(record, reading) ?? readForeign(record, place, protocol, foreign) };
      } catch (error) {
        return { message: unread(record, place), failure: unreadable(place, error) };
      }
    },
  };
}

function readForeign(record: EventRecord, place: RecordPlace, protocol: Protocol, foreign: ForeignRecords): Message {
  if (foreign === "refuse") throw invalidEvent("none of its headers says that it is one; foreign records are refused here");
  const accepted = foreignMessage(record, place, protocol);
  return foreign === "accept" ? accepted : foreign(record, accepted);
}

/** What stands for a record that cannot be read: its bytes, under its place. */
function unread(record: EventRecord, place: RecordPlace): Message {
  const id = placeText(place);
  const content = record.body === null ? "" : plainBytes(record.body);
  return { id, key: keyOf(record) ?? id, source: place.stream, content, attributes: Object.create(null) };
}

function unreadable(place: RecordPlace, cause: unknown): EventDriverError {
  const known = isEventDriverError(cause) ? cause : undefined;
  return new EventDriverError(known?.code ?? "ERR_INVALID_EVENT", {
    message: `record ${quote(placeText(place))} of ${quote(place.stream)} cannot be read: ${known?.message ?? "reading it has thrown"}`,
    retryable: false,
    cause,
  });
}
