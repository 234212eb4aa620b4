const encoder = new TextEncoder();

/** Writes protobuf's wire format: https://protobuf.dev/programming-guides/encoding/ */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** A field of a whole number. */
  varint(field: number, value: bigint): void {
    this.#tag(field, 0);
    this.#varint(BigInt.asUintN(64, value));
  }

  /** A field of a floating point number. */
  double(field: number, value: number): void {
    this.#tag(field, 1);
    this.#reserve(8);
    new DataView(this.#bytes.buffer).setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** A field of text, which is UTF-8. */
  text(field: number, value: string): void {
    this.bytes(field, encoder.encode(value));
  }

  /** A field of bytes, or of another message. */
  bytes(field: number, value: Uint8Array): void {
    this.#tag(field, 2);
    this.#varint(BigInt(value.length));
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #tag(field: number, wireType: number): void {
    this.#varint(BigInt(field * 8 + wireType));
  }

  #varint(value: bigint): void {
    this.#reserve(10);
    let rest = value;
    while (rest > 0xffff_ffffn) {
      this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    // What fits into a number is written as one: big integers cost ten times as much.
    let low = Number(rest);
    for (; low > 0x7f; low = Math.floor(low / 128)) this.#bytes[this.#length++] = (low % 128) | 0x80;
    this.#bytes[this.#length++] = low;
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes);
    this.#bytes = grown;
  }
}
