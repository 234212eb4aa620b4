import { createHash } from "node:crypto";

/** What JetStream takes in a name, a subject's token and a folder as it is, and what stands for nothing else here. */
const plain = /^[A-Za-z0-9_-]+$/;

/** What stands for no text at all. No escape is so short. */
const nothing = "=";

/** What stands before a digest. Neither is a hexadecimal digit, so no escape begins so. */
const digestMark = "=-";

/**
 * The name at the broker that stands for a text.
 *
 * Letters, digits, `_` and `-` stay as they are, and every other byte of the UTF-8 becomes `=` and two hexadecimal digits; half a surrogate pair, which has no
 * UTF-8, becomes `=u` and its number. What gets longer than `longest` becomes its beginning and a digest, so that no two texts meet but by their SHA-256.
 */
export function encodeName(text: string, longest: number = 128): string {
  const encoded = plain.test(text) ? text : escaped(text);
  if (encoded.length <= longest) return encoded;
  const digest = createHash("sha256").update(text, "utf16le").digest("base64url");
  return `${encoded.slice(0, longest - digest.length - digestMark.length)}${digestMark}${digest}`;
}

/** The text that a name stands for; `undefined` where that was too long. */
export function decodeName(name: string): string | undefined {
  if (name.includes(digestMark)) return undefined;
  if (name === nothing) return "";
  return name.replaceAll(/=u([\dA-F]{4})|(?:=[\dA-F]{2})+/g, (encoded, half: string | undefined) =>
    half === undefined ? Buffer.from(encoded.replaceAll("=", ""), "hex").toString() : String.fromCharCode(Number.parseInt(half, 16)),
  );
}

function escaped(text: string): string {
  if (text === "") return nothing;
  return text.replaceAll(/[^A-Za-z0-9_-]/gu, (character) => {
    if (!character.isWellFormed()) return `=u${hexadecimal(character.charCodeAt(0))}`;
    return Array.from(Buffer.from(character), (byte) => `=${hexadecimal(byte)}`).join("");
  });
}

function hexadecimal(code: number): string {
  return code.toString(16).toUpperCase().padStart(2, "0");
}
