import { type Message, toBase64 } from "event-driver";

import type { ContentPlacement } from "../http/http-encode.ts";
import type { WrittenRecord } from "./binding.ts";
import type { KeyPlaces } from "./key-places.ts";

import { invalidMessage } from "../errors.ts";
import { saysJson, saysText } from "../event/wire-data.ts";
import { inUtf8 } from "../http/media-type.ts";
import { isJson } from "../http/structured-json.ts";
import { type Draft, draftOf } from "./draft.ts";
import { attributePrefix, markEntry } from "./mark.ts";
import { contentTypeName, markName, type Protocol, saysCloudEvent, structuredType } from "./protocol.ts";

type Header = readonly [name: string, value: string];

const encoder = new TextEncoder();
const typeInMark = `${attributePrefix}datacontenttype`;

/** How one binding writes. */
export interface Writing {
  readonly protocol: Protocol;
  readonly mode: ContentPlacement;
  readonly places: KeyPlaces;
  /** The name of the header that an attribute goes into. */
  readonly nameOf: (attribute: string) => string;
  readonly encode: (text: string) => Uint8Array;
}

/**
 * The record of a message.
 *
 * @throws EventDriverError `ERR_INVALID_MESSAGE`
 */
export function writeRecord(message: Message, writing: Writing): WrittenRecord {
  const { protocol, mode, places } = writing;
  if (typeof message.content === "string" && !message.content.isWellFormed()) {
    throw invalidMessage(message.id, "has a lone surrogate in its content, which UTF-8 cannot carry; publish it as bytes");
  }
  const draft = draftOf(message, protocol.keyed, places);
  const contentType = draft.attributes["datacontenttype"];
  // In binary mode, data that is a CloudEvent itself would be taken for the event.
  const isNested = contentType !== undefined && protocol.contentType !== "attribute" && saysCloudEvent(contentType);
  const record = mode === "structured" || isNested ? structured(draft, writing) : binary(draft, writing);
  requireRoom(record, protocol, message.id);
  return record;
}

function binary(draft: Draft, { protocol, nameOf, encode }: Writing): WrittenRecord {
  const { message, attributes, mark } = draft;
  const { content, key } = message;
  const contentType = bodyType(draft, protocol);
  if (isUnexpected(content, contentType)) mark.push(typeof content === "string" ? "text" : "bytes");

  const headers: Header[] = [];
  const { escape } = protocol;
  for (const name in attributes) {
    const value = attributes[name] ?? "";
    if (name !== "datacontenttype") headers.push([nameOf(name), escape === undefined ? value : escape(value)]);
  }
  if (contentType !== undefined && protocol.contentType === "header") headers.push([contentTypeName, contentType]);
  if (contentType !== undefined && protocol.contentType === "attribute") {
    headers.push([nameOf("datacontenttype"), escape === undefined ? contentType : escape(contentType)]);
  }
  if (mark.length > 0) headers.push([markName, mark.join(",")]);
  const body = typeof content === "string" ? encode(content) : content;
  return protocol.contentType === "field" ? { headers, contentType, key, body } : { headers, key, body };
}

/** The type of the data as the record has it. */
function bodyType({ message, attributes, mark }: Draft, protocol: Protocol): string | undefined {
  const stated = attributes["datacontenttype"];
  if (stated === undefined) return undefined;
  const type = typeof message.content === "string" ? inUtf8(stated) : stated;
  const fitting = protocol.fitsContentType === undefined || protocol.fitsContentType(type) ? type : undefined;
  if (fitting !== stated) mark.push(markEntry(typeInMark, message.attributes["datacontenttype"]));
  return fitting;
}

/** Whether a reader would take text for bytes, or could take bytes for text: to find out whether they are UTF-8 costs more than to say so. */
function isUnexpected(content: Message["content"], contentType: string | undefined): boolean {
  if (typeof content === "string") return content !== "" && !saysText(contentType);
  return content.length === 0 || saysText(contentType);
}

/** JSON event format 1.0.2, section 3. */
function structured(draft: Draft, { protocol, encode }: Writing): WrittenRecord {
  const { message, attributes, mark } = draft;
  const members = Object.keys(attributes).map((name) => `"${name}":${JSON.stringify(attributes[name])}`);
  const data = dataMember(draft);
  if (data !== undefined) members.push(data);

  const headers: Header[] = protocol.contentType === "field" ? [] : [[contentTypeName, structuredType]];
  if (mark.length > 0) headers.push([markName, mark.join(",")]);
  const body = encode(`{${members.join(",")}}`);
  if (protocol.contentType !== "field") return { headers, key: message.key, body };
  return { headers, contentType: structuredType, key: message.key, body };
}

/** Section 3.1: JSON stands in it as it was written, other text as a string, and everything else in base64. */
function dataMember({ message, attributes, mark }: Draft): string | undefined {
  const { content } = message;
  const contentType = attributes["datacontenttype"];
  if (content === "") return undefined;
  if (typeof content === "string") {
    if (!saysJson(contentType)) return `"data":${JSON.stringify(content)}`;
    // White space around a value is not part of it.
    if (content === content.trim() && isJson(content)) {
      // Section 3.1.2: data without a type is JSON, and says so from there on.
      if (contentType === undefined) mark.push(markEntry(typeInMark, message.attributes["datacontenttype"]));
      return `"data":${content}`;
    }
  }
  if (isUnexpected(content, contentType)) mark.push(typeof content === "string" ? "text" : "bytes");
  return `"data_base64":"${toBase64(typeof content === "string" ? encoder.encode(content) : content)}"`;
}

function requireRoom({ headers, contentType = "" }: WrittenRecord, { maxName, maxBytes }: Protocol, id: string): void {
  if (maxName === undefined && maxBytes === undefined) return;
  for (const [name, value] of headers) {
    if (isLonger(name, maxName ?? maxBytes) || isLonger(value, maxBytes)) {
      throw invalidMessage(id, "has an attribute that is longer than the protocol allows");
    }
  }
  if (isLonger(contentType, maxBytes)) throw invalidMessage(id, "has a datacontenttype that is longer than the protocol allows");
}

function isLonger(text: string, maxBytes: number | undefined): boolean {
  // A character is at most three bytes.
  return maxBytes !== undefined && text.length * 3 > maxBytes && encoder.encode(text).length > maxBytes;
}
