const slabSize = 65_536;

/** Longer texts get memory of their own. */
const maxShared = 4_096;

/** Encodes as UTF-8. Short texts share a piece of memory, because to ask for one costs more than to encode them. */
export function textEncoding(): (text: string) => Uint8Array {
  const encoder = new TextEncoder();
  let slab = new Uint8Array(0);
  let used = 0;

  return (text) => {
    // A character is at most three bytes.
    const most = text.length * 3;
    if (most > maxShared) return encoder.encode(text);
    if (used + most > slab.length) {
      slab = new Uint8Array(slabSize);
      used = 0;
    }
    const start = used;
    used += encoder.encodeInto(text, slab.subarray(start)).written;
    return slab.subarray(start, used);
  };
}
