import { createHash } from "node:crypto";

/** What JetStream takes in a name, a subject's token and a folder as it is, and what stands for nothing else here. */
const plain = /^[A-Za-z0-9_-]+$/;

/** Longer names become the beginning of what they would be, and a digest. JetStream takes 255 bytes. */
const longest = 128;

/**
 * The name that a stream or a group has at the broker.
 *
 * Letters, digits, `_` and `-` stay as they are, and every other byte of the UTF-8 becomes `=` and two hexadecimal digits. So no two names meet, but for two
 * long ones with the same SHA-256.
 */
export function encodeName(name: string): string {
  const encoded = plain.test(name) ? name : escaped(name);
  if (encoded.length <= longest) return encoded;
  const digest = createHash("sha256").update(name).digest("base64url");
  // No escape begins so: `-` is no hexadecimal digit.
  return `${encoded.slice(0, longest - digest.length - 2)}=-${digest}`;
}

function escaped(name: string): string {
  return Array.from(Buffer.from(name, "utf8"), (byte) => {
    const character = String.fromCharCode(byte);
    return plain.test(character) ? character : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
}
