import type { EventDriverError, Message } from "event-driver";

import type { KeyOptions } from "../event/key.ts";
import type { ContentPlacement } from "../http/http-encode.ts";

/** What a header, property or user property of a record may hold; each protocol has its own choice of these. */
export type HeaderValue = string | number | bigint | boolean | Date | Uint8Array | null;

/** A record of a broker, as its protocol carries events. */
export interface EventRecord {
  /** Headers, application properties, properties or user properties, in their order. A name may come twice where the protocol allows it. */
  readonly headers: Iterable<readonly [name: string, value: HeaderValue]>;
  /** Where the protocol has a field of its own for it (AMQP, MQTT); elsewhere it is among the headers. */
  readonly contentType?: string | undefined;
  /** What the broker partitions or orders by, where it has such. */
  readonly key?: string | Uint8Array | null | undefined;
  /** `null` where the record has no value at all, as a tombstone. */
  readonly body: Uint8Array | null;
}

/** A record that is to be sent. Values of headers are text. */
export interface WrittenRecord extends EventRecord {
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** The message's key. Where the protocol's records have keys of their own, it must be sent: the headers do not say it again. */
  readonly key: string;
  /** A view: its `buffer` may hold other records too. */
  readonly body: Uint8Array;
}

/** Where a record was read. It names what has no name of its own. */
export interface RecordPlace {
  readonly stream: string;
  readonly partition?: string | undefined;
  /** The same each time the record is delivered, and unlike any other's of the stream or partition. */
  readonly position: string;
}

/** What a record says. */
export interface ReadRecord {
  readonly message: Message;
  /** Why it is no message; `message` then holds its bytes as they are. */
  readonly failure?: EventDriverError | undefined;
}

/** What becomes of a record that no CloudEvents producer wrote: none of the binding's names is in it. */
export type ForeignRecords =
  /** It becomes a message: its id is its place, its source the stream, its key the record's, its headers become attributes where their names can. */
  | "accept"
  /** It is a failure, and goes the way of what cannot be read. */
  | "refuse"
  /** The message it becomes, given the one that `"accept"` would make. Throwing makes it a failure. */
  | ((record: EventRecord, accepted: Message) => Message);

export interface BindingOptions extends KeyOptions {
  /**
   * How messages are written; both ways are read.
   * @default "binary"
   */
  readonly mode?: ContentPlacement | undefined;
  /** @default "accept" */
  readonly foreign?: ForeignRecords | undefined;
}

/** How one protocol carries CloudEvents. */
export interface Binding {
  /**
   * The record of a message. Reading it gives the same message: each part, text as text and bytes as bytes.
   *
   * @throws EventDriverError `ERR_INVALID_MESSAGE`, terminal, for what CloudEvents or the protocol has no way to say
   */
  write(message: Message): WrittenRecord;
  /** The message of a record. Never throws: what cannot be read says so in `failure`. */
  read(record: EventRecord, place: RecordPlace): ReadRecord;
}
