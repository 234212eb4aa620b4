import { createHash } from "node:crypto";

/** What Pulsar's names and the paths of its addresses take as it is. The sign = begins an escape. */
const plain = /[\w.-]/;
/** Above it the name is cut and told apart by its digest: an address may have 8 KiB in all. */
const maxLength = 240;

/**
 * The name of a topic or subscription for any well-formed string: letters, digits, `.`, `_` and `-` stay, every other byte of its UTF-8 becomes `=XX`. No two
 * strings have the same name.
 *
 * Escaped as well is what Pulsar gives a meaning to: a dot or `pulsar.` at the beginning, two underscores in a row, and `-partition-`.
 */
export function pulsarName(text: string): string {
  const name = Array.from(text, (character) => (plain.test(character) ? character : escaped(character)))
    .join("")
    .replace(/_(?=_)/g, escaped)
    .replace(/^\.|^p(?=ulsar\.)/, escaped)
    .replace(/-(?=partition-)/g, escaped);
  return name.length <= maxLength ? name : shortened(name);
}

function escaped(character: string): string {
  return Array.from(Buffer.from(character), (byte) => `=${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}

/** Two signs = in a row are in no name that was not cut. */
function shortened(name: string): string {
  const digest = createHash("sha256").update(name).digest("hex");
  return `${name.slice(0, maxLength - digest.length - 2).replace(/=[\dA-F]?$/, "")}==${digest}`;
}
