import type { EventRecord, HeaderValue } from "./binding.ts";

import { isAttributeText } from "../event/attribute-rules.ts";
import { isPlainHeaderValue } from "../http/header-value.ts";
import { emptyRecord } from "./empty-record.ts";
import { noPlace, wrongName } from "./header-names.ts";
import { textOfHeader } from "./header-text.ts";
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

/** Reads what a record says beside its body. `placeOf` tells what a header is for. */
export function readHead({ headers, contentType: field }: EventRecord, protocol: Protocol, placeOf: (header: string) => string): Head {
  const attributes = emptyRecord();
  let contentType = field || undefined;
  let mark: string | undefined;
  let problem: string | undefined;
  let isEvent = false;

  for (const [header, value] of headers) {
    if (value === null) continue;
    const place = placeOf(header);
    if (place === noPlace) continue;
    if (place === markName) mark = textOfHeader(value, protocol.bytes);
    else if (place === contentTypeName) contentType ??= textOfHeader(value, protocol.bytes);
    else {
      isEvent = true;
      problem = readAttribute(attributes, place, value, protocol) ?? problem;
    }
  }
  // Where there is no prefix any property may look like an attribute. This one nobody sets by chance.
  if (protocol.prefix === "") isEvent = attributes["specversion"] !== undefined;
  return { contentType, attributes, mark, isEvent, problem };
}

/** Adds the attribute, or says why it cannot be one. */
function readAttribute(
  attributes: Record<string, string>,
  name: string,
  value: Exclude<HeaderValue, null>,
  { bytes, unescape }: Protocol,
): string | undefined {
  if (name === wrongName) return "it has an attribute of a name that none can have";
  if (attributes[name] !== undefined) return `it has ${name} twice`;
  const given = textOfHeader(value, bytes);
  if (given !== undefined && isPlainHeaderValue(given)) {
    // It stands for itself in every protocol.
    attributes[name] = given;
    return undefined;
  }
  const text = given === undefined || unescape === undefined ? given : unescape(given);
  if (text === undefined) return `its ${name} cannot be read as text`;
  if (!isAttributeText(text)) return `its ${name} holds a character that attributes may not hold`;
  attributes[name] = text;
  return undefined;
}
