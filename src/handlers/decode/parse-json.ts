import type { StorableContent } from "../../message.ts";

/** What was read, or why nothing could be. The reason tells nothing of the content, which the message of `JSON.parse` would. */
export type ParsedJson = { readonly value: unknown } | { readonly problem: string };

const decoder = new TextDecoder("utf-8", { fatal: true });

const quotationMark = 0x22;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** Reads text, or bytes that are valid UTF-8, as JSON of a bounded depth. */
export function parseJson(content: StorableContent, maxDepth: number): ParsedJson {
  const text = typeof content === "string" ? content : textOf(content);
  if (text === undefined) return { problem: "it is not valid UTF-8" };
  try {
    const value: unknown = JSON.parse(text);
    return isDeeper(text, maxDepth) ? { problem: `it is nested deeper than ${maxDepth}` } : { value };
  } catch {
    return { problem: text === "" ? "it is empty" : "it is not JSON" };
  }
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Counts brackets outside of strings; that they pair up, `JSON.parse` has shown. */
function isDeeper(json: string, maxDepth: number): boolean {
  // Depth n takes 2n brackets, so most content need not be looked at.
  if (json.length <= 2 * maxDepth) return false;
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < json.length; at += 1) {
    const code = json.charCodeAt(at);
    if (quoted) {
      if (code === backslash) at += 1;
      else if (code === quotationMark) quoted = false;
    } else if (code === quotationMark) quoted = true;
    else if (code === openBrace || code === openBracket) {
      depth += 1;
      if (depth > maxDepth) return true;
    } else if (code === closeBrace || code === closeBracket) depth -= 1;
  }
  return false;
}
