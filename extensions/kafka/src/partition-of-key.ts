/** The partition that Java's client gives a key to. Records without a key go to the first one. */
export function partitionOfKey(key: Uint8Array | undefined, partitionCount: number): number {
  return key === undefined ? 0 : (murmur2(key) & 0x7fff_ffff) % partitionCount;
}

const seed = 0x9747_b28c;
const factor = 0x5bd1_e995;

/** MurmurHash2 of 32 bits, as Kafka has it. */
function murmur2(bytes: Uint8Array): number {
  const { length } = bytes;
  const whole = length - (length % 4);
  let hash = seed ^ length;
  for (let at = 0; at < whole; at += 4) {
    const word = Math.imul(at4(bytes, at), factor);
    hash = Math.imul(hash, factor) ^ Math.imul(word ^ (word >>> 24), factor);
  }
  if (whole < length) {
    for (let at = length - 1; at >= whole; at -= 1) hash ^= (bytes[at] ?? 0) << (8 * (at - whole));
    hash = Math.imul(hash, factor);
  }
  hash = Math.imul(hash ^ (hash >>> 13), factor);
  return hash ^ (hash >>> 15);
}

/** Four bytes, the lowest first. */
function at4(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}
