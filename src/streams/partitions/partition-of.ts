import { invalidOption } from "../../errors.ts";

/**
 * Which of `count` partitions a key belongs to, counted from 0: the same everywhere and in every version, with the keys spread evenly.
 *
 * It is the MurmurHash3 of the key's UTF-8 bytes (x86, 32 bits, seed 0), modulo `count`, so that other languages can agree on it. It is no secret: whoever chooses
 * keys can choose their partition.
 *
 * @param count how many partitions there are, from 1
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example partitionOf("order-1", 64)
 */
export function partitionOf(key: string, count: number): number {
  if (!Number.isInteger(count) || count < 1) throw invalidOption("partitionOf", "count", count, "a whole number from 1");
  return hashOf(bytesOf(key)) % count;
}

const encoder = new TextEncoder();

/** Holds the bytes of one key at a time: to ask for memory costs more than the rest. */
const shared = new Uint8Array(256);

function bytesOf(key: string): Uint8Array {
  // A character is at most three bytes.
  if (key.length * 3 > shared.length) return encoder.encode(key);
  return shared.subarray(0, encoder.encodeInto(key, shared).written);
}

/** MurmurHash3 as its author has published it: https://github.com/aappleby/smhasher/blob/master/src/MurmurHash3.cpp */
function hashOf(bytes: Uint8Array): number {
  const { length } = bytes;
  const tail = length - (length % 4);
  let hash = 0;
  for (let at = 0; at < tail; at += 4) {
    hash ^= scrambled(byte(bytes, at) | (byte(bytes, at + 1) << 8) | (byte(bytes, at + 2) << 16) | (byte(bytes, at + 3) << 24));
    hash = (Math.imul(rotated(hash, 13), 5) + 0xe6546b64) | 0;
  }
  // Past the end there are zeros, and scrambling nothing gives nothing.
  hash ^= scrambled(byte(bytes, tail) | (byte(bytes, tail + 1) << 8) | (byte(bytes, tail + 2) << 16));
  return finished(hash ^ length);
}

function scrambled(block: number): number {
  return Math.imul(rotated(Math.imul(block, 0xcc9e2d51), 15), 0x1b873593);
}

/** Lets each bit of what was read change each bit of the hash. */
function finished(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

function rotated(bits: number, by: number): number {
  return (bits << by) | (bits >>> (32 - by));
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}
