const pieceLength = 8_192;

/** Bytes as base64 (RFC 4648, section 4). */
export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  // In pieces, because each byte becomes an argument and those have a limit.
  for (let from = 0; from < bytes.length; from += pieceLength) binary += String.fromCharCode(...bytes.subarray(from, from + pieceLength));
  return btoa(binary);
}

/** The bytes of base64 text; throws on text that is none. */
export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
