/** What is peculiar to one protocol. */
export interface Protocol {
  /** Of the factory, for errors. */
  readonly factory: string;
  /** What stands in front of an attribute's name. */
  readonly prefix: string;
  /** Another one that is read. */
  readonly otherPrefix?: string;
  /** Whether names of headers are the same in any case. */
  readonly anyCase?: boolean;
  /**
   * Where the type of the data stands: in a header `content-type`, in a field of the record, or with the other attributes. In structured mode the last of
   * them has a header `content-type` too.
   */
  readonly contentType: "header" | "field" | "attribute";
  /** Whether a type fits there; otherwise it is left to the mark. */
  readonly fitsContentType?: (type: string) => boolean;
  /** Whether the record has a key of its own. */
  readonly keyed: boolean;
  /** What a value of bytes is: UTF-8, or the CloudEvents type Binary. */
  readonly bytes: "text" | "binary";
  /** Whether a record without a content type may be an event in the JSON format. */
  readonly bareJson?: boolean;
  /** How many bytes of UTF-8 a header's name or value may have. */
  readonly maxBytes?: number;
  /** How many characters an attribute's name may have. */
  readonly maxName?: number;
  /** How an attribute's value is written; as it is by default. */
  readonly escape?: (value: string) => string;
  /** The way back; `undefined` where it cannot be read. */
  readonly unescape?: (value: string) => string | undefined;
}

/** What carries the parts of a message that the CloudEvent does not say. No attribute can have this name, because of its hyphen. */
export const markName = "event-driver";

export const contentTypeName = "content-type";

/** The media type of an event in the JSON format, as it is written. */
export const structuredType = "application/cloudevents+json; charset=utf-8";

const mediaType = "application/cloudevents";
const cloudEvent = /^\s*application\/cloudevents/i;

/** Whether data of this type is a CloudEvent. Every binding: the prefix of the media type decides, in any case and with any parameters. */
export function saysCloudEvent(contentType: string): boolean {
  return contentType.length >= mediaType.length && cloudEvent.test(contentType);
}
