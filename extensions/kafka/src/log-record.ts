import { BytesReader } from "./bytes-reader.ts";

/** What a record says. Text where it is ASCII, else bytes. */
export interface RecordParts {
  readonly key: string | Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly (readonly [name: string, value: string | Uint8Array | null])[];
}

/** A record as it stands in the log. It is read when it is needed: much of what was fetched may wait, and bytes cost nothing while they do. */
export class LogRecord {
  readonly offset: bigint;
  /** Epoch milliseconds. */
  readonly timestamp: number;
  /** Those of its whole batch. */
  readonly #bytes: Buffer;
  /** Where its key begins. */
  readonly #start: number;
  readonly #end: number;

  constructor({ offset, timestamp, bytes, start, end }: LogRecordOptions) {
    this.offset = offset;
    this.timestamp = timestamp;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
  }

  /** Never throws, whatever its bytes are. */
  read(texts: TextMemory): RecordParts {
    const reader = new BytesReader(this.#bytes, this.#start, this.#end);
    const key = reader.field() ? reader.textOrBytes() : null;
    const value = reader.field() ? reader.view() : null;
    const count = reader.number();
    const headers: [string, string | Uint8Array | null][] = [];
    for (let place = 0; place < count && !reader.isAtEnd; place += 1) headers.push([texts.name(place, reader), texts.value(place, reader)]);
    return { key, value, headers };
  }
}

interface LogRecordOptions {
  readonly offset: bigint;
  readonly timestamp: number;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** As much is remembered at most: so many headers of a record, and texts of that length. */
const most = { places: 64, length: 256 };

/** What the headers of the record before said, by their places: nearly all records of a topic say most of it again, and no new text is made of that. */
export class TextMemory {
  readonly #names: string[] = [];
  readonly #values: string[] = [];

  /** The name that stands next. */
  name(place: number, reader: BytesReader): string {
    reader.field();
    const last = this.#names[place];
    if (last !== undefined && reader.isField(last)) return last;
    const text = reader.bytes.toString("utf8", reader.from, reader.to);
    remember(this.#names, place, text);
    return text;
  }

  /** The value that stands next. */
  value(place: number, reader: BytesReader): string | Uint8Array | null {
    if (!reader.field()) return null;
    const last = this.#values[place];
    if (last !== undefined && reader.isField(last)) return last;
    const value = reader.textOrBytes();
    if (typeof value === "string") remember(this.#values, place, value);
    return value;
  }
}

/** Without gaps: an array that has some is slow. */
function remember(texts: string[], place: number, text: string): void {
  if (place <= texts.length && place < most.places && text.length <= most.length) texts[place] = text;
}
