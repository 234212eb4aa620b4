import type { EventRecord, HeaderValue } from "./binding.ts";

import { isAttributeName, isAttributeText } from "../event/attribute-rules.ts";
import { emptyRecord } from "./empty-record.ts";
import { isPlain, textOfHeader } from "./header-text.ts";
import { contentTypeName, markName, type Protocol } from "./protocol.ts";

/** What the headers of a record say. */
export interface Head {
  /** The type of the body. */
  readonly contentType: string | undefined;
  readonly attributes: Record<string, string>;
  readonly mark: string | undefined;
  /** Whether it claims to be an event in binary mode. */
  readonly isEvent: boolean;
  /** Why it is none nevertheless. */
  readonly problem: string | undefined;
}

/** Reads what a record says beside its body. */
export function readHead({ headers, contentType: field }: EventRecord, protocol: Protocol): Head {
  const attributes = emptyRecord();
  let contentType = field || undefined;
  let mark: string | undefined;
  let problem: string | undefined;
  let isEvent = false;

  for (const [given, value] of headers) {
    if (value === null) continue;
    const header = protocol.anyCase ? given.toLowerCase() : given;
    const name = attributeIn(header, protocol);
    if (name !== undefined) {
      isEvent = true;
      problem = readAttribute(attributes, name, value, protocol) ?? problem;
    } else if (header === markName) mark = textOfHeader(value, protocol.bytes);
    else if (isContentType(header, protocol)) contentType ??= textOfHeader(value, protocol.bytes);
  }
  // Where there is no prefix any property may look like an attribute. This one nobody sets by chance.
  if (protocol.prefix === "") isEvent = attributes["specversion"] !== undefined;
  return { contentType, attributes, mark, isEvent, problem };
}

/** The attribute that a header is for, if it is for one. */
function attributeIn(header: string, { prefix, otherPrefix }: Protocol): string | undefined {
  if (prefix === "") return isAttributeName(header) ? header : undefined;
  if (header.startsWith(prefix)) return header.slice(prefix.length);
  return otherPrefix !== undefined && header.startsWith(otherPrefix) ? header.slice(otherPrefix.length) : undefined;
}

/** Adds the attribute, or says why it cannot be one. */
function readAttribute(
  attributes: Record<string, string>,
  name: string,
  value: Exclude<HeaderValue, null>,
  { bytes, unescape }: Protocol,
): string | undefined {
  if (!isAttributeName(name)) return "it has an attribute of a name that none can have";
  if (attributes[name] !== undefined) return `it has ${name} twice`;
  const given = textOfHeader(value, bytes);
  const text = given === undefined || unescape === undefined ? given : unescape(given);
  if (text === undefined) return `its ${name} cannot be read as text`;
  if (!isPlain(text) && !isAttributeText(text)) return `its ${name} holds a character that attributes may not hold`;
  attributes[name] = text;
  return undefined;
}

function isContentType(header: string, protocol: Protocol): boolean {
  return protocol.contentType !== "field" && header.length === contentTypeName.length && header.toLowerCase() === contentTypeName;
}
