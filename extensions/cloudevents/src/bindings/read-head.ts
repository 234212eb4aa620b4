import type { EventRecord, HeaderValue } from "./binding.ts";

import { isAttributeText } from "../event/attribute-rules.ts";
import { isPlainHeaderValue } from "../http/header-value.ts";
import { emptyRecord } from "./empty-record.ts";
import { HeaderLines, type LineNames } from "./header-lines.ts";
import { noPlace, wrongName } from "./header-names.ts";
import { textOfHeader } from "./header-text.ts";
import { contentTypeName, markName, type Protocol } from "./protocol.ts";

/** How headers are read. */
export interface HeadReading {
  readonly protocol: Protocol;
  /** What a header is for. */
  readonly placeOf: (header: string) => string;
  /** For headers that are lines. */
  readonly lineNames: LineNames;
}

/** What the headers of a record say. */
export class Head {
  /** The type of the body. */
  contentType: string | undefined;
  readonly attributes: Record<string, string> = emptyRecord();
  mark: string | undefined;
  /** Whether it claims to be an event in binary mode. */
  isEvent = false;
  /** Why it is none nevertheless. */
  problem: string | undefined;
  readonly #protocol: Protocol;

  constructor(protocol: Protocol, contentType: string | undefined) {
    this.#protocol = protocol;
    this.contentType = contentType;
  }

  /** Takes what a header says that is for something. */
  take(place: string, value: Exclude<HeaderValue, null>): void {
    if (place === markName) this.mark = textOfHeader(value, this.#protocol.bytes);
    else if (place === contentTypeName) this.contentType ??= textOfHeader(value, this.#protocol.bytes);
    else {
      this.isEvent = true;
      this.problem = this.#takeAttribute(place, value) ?? this.problem;
    }
  }

  /** Adds the attribute, or says why it cannot be one. */
  #takeAttribute(name: string, value: Exclude<HeaderValue, null>): string | undefined {
    const { attributes } = this;
    const { bytes, unescape } = this.#protocol;
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
}

/** Reads what a record says beside its body. */
export function readHead({ headers, contentType }: EventRecord, { protocol, placeOf, lineNames }: HeadReading): Head {
  const head = new Head(protocol, contentType || undefined);
  if (headers instanceof HeaderLines) headers.read(lineNames, head);
  else {
    for (const [header, value] of headers) {
      const place = value === null ? noPlace : placeOf(header);
      if (value !== null && place !== noPlace) head.take(place, value);
    }
  }
  // Where there is no prefix any property may look like an attribute. This one nobody sets by chance.
  if (protocol.prefix === "") head.isEvent = head.attributes["specversion"] !== undefined;
  return head;
}
