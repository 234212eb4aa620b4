import type { StorableContent } from "../message.ts";

import { EventDriverError, invalidOption } from "../errors.ts";

/**
 * How values of one kind become content, and come back.
 *
 * - `decode(encode(value))` is an equal value, also where the content was stored or sent in between: text stays text and bytes stay bytes.
 * - Both may be called at any time and keep nothing.
 */
export interface Codec<Value> {
  /** The media type of the content: what messages get as `datacontenttype`, and what they must say where they say one. */
  readonly contentType?: string | undefined;
  /** Other media types that are read, without parameters: names that the same format has elsewhere. */
  readonly alsoReads?: readonly string[] | undefined;
  /** Names the schema and its version, as a URI: what messages get as `dataschema`, and what they must say where they say one. */
  readonly dataSchema?: string | undefined;
  /** Throwing says that this value can never be written. */
  encode(value: Value): StorableContent;
  /** Throwing says that this content can never be read. An EventDriverError of another code than `ERR_DECODE_FAILED` fails the message as it is. */
  decode(content: StorableContent): Value | Promise<Value>;
}

/** What every codec with a schema can be given. */
export interface CodecOptions {
  /**
   * A URI that names the schema and its version.
   * @default none: messages are given none, and may come with any
   */
  readonly dataSchema?: string | undefined;
}

/** The error for content that a codec cannot read. Whoever decodes a message adds its id. */
export function unreadable(problem: string, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_DECODE_FAILED", { message: problem, retryable: false, cause });
}

/** Refuses an empty text where a codec may only say nothing, or something. */
export function requireNamed(factory: string, option: string, value: string | undefined): void {
  if (value === "") throw invalidOption(factory, option, value, "a text that is not empty, or none at all");
}
