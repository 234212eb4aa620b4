import { EventDriverError, quote } from "./errors.ts";

/** What a store can keep and a wire can carry. Anything else is the product of a decode, and lives only inside a pipeline. */
export type StorableContent = string | Uint8Array;

/** Named as CloudEvents names them: `correlationid`, `causationid`, `traceparent`, `dataschema`, `datacontenttype` ... Has no prototype. */
export type Attributes = Readonly<Record<string, string>>;

/**
 * One event on its way through a pipeline. Never changed: the `with...` functions return a new one.
 *
 * Its identity is `(origin ?? source, id)`, see {@link identityOf}.
 */
export interface Message<Content = StorableContent> {
  /** Unique within its origin. Two messages with the same identity are the same event, delivered twice. */
  readonly id: string;
  /** What the message is joined and ordered by, for example an order number. */
  readonly key: string;
  /** Short name of the topic or stream it came from. */
  readonly source: string;
  /** The whole CloudEvents `source`, where it says more than the short name. */
  readonly origin?: string;
  /** What happened, for example `order.created`. */
  readonly type?: string;
  /** When it happened: RFC 3339 text as it came. Absent stays absent and sorts oldest. */
  readonly time?: string;
  readonly content: Content;
  readonly attributes: Attributes;
}

export interface MessageInit<Content> extends Partial<Omit<Message<Content>, "attributes">> {
  readonly key: string;
  readonly source: string;
  readonly content: Content;
  readonly attributes?: Readonly<Record<string, string>>;
}

/**
 * Makes a message from its parts; the `id` defaults to a random UUID.
 *
 * @throws EventDriverError `ERR_INVALID_MESSAGE` when a part is not of its type; the error names the part.
 * @example createMessage({ key: "order-1", source: "event1", content: '{"total":12}' })
 */
export function createMessage<Content = StorableContent>(init: MessageInit<Content>): Message<Content> {
  const { id = crypto.randomUUID(), key, source, origin, type, time, content, attributes } = init;
  requireText("id", id);
  requireText("key", key);
  requireText("source", source);
  return {
    id,
    key,
    source,
    ...(origin !== undefined && { origin: requireText("origin", origin) }),
    ...(type !== undefined && { type: requireText("type", type) }),
    ...(time !== undefined && { time: requireText("time", time) }),
    content,
    attributes: copyAttributes(attributes),
  };
}

/** The same message with other content; the compiler follows the content's type. */
export function withContent<Content>(message: Message<unknown>, content: Content): Message<Content> {
  return { ...message, content };
}

/** The same message under another key. */
export function withKey<Content>(message: Message<Content>, key: string): Message<Content> {
  return { ...message, key: requireText("key", key) };
}

/**
 * The same message under another source name. Its identity stays what it was: the former source is kept as `origin`
 * where there was none.
 */
export function withSource<Content>(message: Message<Content>, source: string): Message<Content> {
  return { ...message, origin: message.origin ?? message.source, source: requireText("source", source) };
}

/** The same message with these attributes added to its own, or replacing them. */
export function withAttributes<Content>(message: Message<Content>, attributes: Readonly<Record<string, string>>): Message<Content> {
  return { ...message, attributes: copyAttributes({ ...message.attributes, ...attributes }) };
}

/** One string that two messages share exactly when they are the same event: the JSON of `[origin ?? source, id]`. */
export function identityOf(message: Pick<Message<unknown>, "id" | "source" | "origin">): string {
  return JSON.stringify([message.origin ?? message.source, message.id]);
}

/** Whether the message is of one of these types. */
export function isType(message: Message<unknown>, ...types: readonly string[]): boolean {
  return message.type !== undefined && types.includes(message.type);
}

function copyAttributes(attributes: Readonly<Record<string, string>> | undefined): Attributes {
  const copy: Record<string, string> = Object.create(null);
  if (attributes !== undefined) {
    for (const name of Object.keys(attributes)) copy[name] = requireText(`attribute ${quote(name)}`, attributes[name]);
  }
  return copy;
}

function requireText(part: string, value: unknown): string {
  if (typeof value === "string") return value;
  throw new EventDriverError("ERR_INVALID_MESSAGE", {
    message: `a message's ${part} is ${typeof value}, it must be a string`,
    retryable: false,
  });
}
