/** Reads numbers and fields of variable length, as they stand in a record. It never throws: what goes beyond the end is cut off. */
export class BytesReader {
  readonly bytes: Buffer;
  /** What is read next. */
  at: number;
  /** The field that was read last is from here ... */
  from: number = 0;
  /** ... up to here. */
  to: number = 0;
  readonly #end: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.bytes = bytes;
    this.at = start;
    this.#end = Math.min(end, bytes.length);
  }

  get isAtEnd(): boolean {
    return this.at >= this.#end;
  }

  skip(length: number): void {
    this.at += length;
  }

  /** A signed number of up to 53 bits. */
  number(): number {
    const first = this.#byte();
    if (first < 0x80) return (first >>> 1) ^ -(first & 1);
    let value = first & 0x7f;
    for (let scale = 0x80, next = 0x80; next >= 0x80; scale *= 0x80) {
      next = this.#byte();
      value += (next & 0x7f) * scale;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** Goes over a field, which is then known by `from` and `to`. `false` where it is null. */
  field(): boolean {
    const length = this.number();
    this.from = this.at;
    this.to = Math.min(this.#end, this.at + Math.max(0, length));
    this.at = this.to;
    return length >= 0;
  }

  /** Whether the field says this text. */
  isField(text: string): boolean {
    const { bytes, from, to } = this;
    if (text.length !== to - from) return false;
    // From the end: ids and times that differ mostly do so there.
    for (let at = to - 1, index = text.length - 1; index >= 0; at -= 1, index -= 1) if (bytes[at] !== text.charCodeAt(index)) return false;
    return true;
  }

  /** The field as text where it is ASCII, else as bytes. */
  textOrBytes(): string | Uint8Array {
    const { bytes, from, to } = this;
    for (let at = from; at < to; at += 1) if ((bytes[at] ?? 0) >= 0x80) return this.view();
    return bytes.toString("latin1", from, to);
  }

  /** The field as bytes, which are not copied. */
  view(): Uint8Array {
    return new Uint8Array(this.bytes.buffer, this.bytes.byteOffset + this.from, this.to - this.from);
  }

  #byte(): number {
    if (this.at >= this.#end) return 0;
    const byte = this.bytes[this.at] ?? 0;
    this.at += 1;
    return byte;
  }
}
