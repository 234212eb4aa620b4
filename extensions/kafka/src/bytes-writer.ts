/** Writes numbers and fields of variable length, as they stand in a record, into memory that has room for them. */
export class BytesWriter {
  readonly bytes: Buffer;
  /** Where the next one goes. */
  at: number;

  constructor(bytes: Buffer, start: number) {
    this.bytes = bytes;
    this.at = start;
  }

  byte(value: number): void {
    this.bytes[this.at] = value;
    this.at += 1;
  }

  /** A signed number of up to 32 bits. */
  number(value: number): void {
    let left = zigzag(value);
    for (; left >= 0x80; left >>>= 7) this.byte((left & 0x7f) | 0x80);
    this.byte(left);
  }

  /** A field with its length before it; text in UTF-8. */
  field(value: string | Uint8Array | null): void {
    if (value === null) this.number(-1);
    else if (typeof value === "string") this.#text(value);
    else {
      this.number(value.length);
      this.bytes.set(value, this.at);
      this.at += value.length;
    }
  }

  #text(text: string): void {
    const start = this.at;
    this.number(text.length);
    if (this.#ascii(text)) return;
    this.at = start;
    this.number(Buffer.byteLength(text));
    this.at += this.bytes.write(text, this.at);
  }

  /** Most texts are short, and to ask somebody to encode them would take longer. `false` where it is more than ASCII: then it is not written. */
  #ascii(text: string): boolean {
    const { bytes, at } = this;
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (code >= 0x80) return false;
      bytes[at + index] = code;
    }
    this.at = at + text.length;
    return true;
  }
}

/** How many bytes a number takes. */
export function sizeOfNumber(value: number): number {
  // Seven bits go into a byte.
  return Math.max(1, Math.ceil((32 - Math.clz32(zigzag(value))) / 7));
}

/** How many bytes a field takes, with its length. */
export function sizeOfField(value: string | Uint8Array | null): number {
  if (value === null) return 1;
  const length = typeof value === "string" ? Buffer.byteLength(value) : value.length;
  return sizeOfNumber(length) + length;
}

/** Small numbers get few bits, whatever their sign is. */
function zigzag(value: number): number {
  return ((value << 1) ^ (value >> 31)) >>> 0;
}
