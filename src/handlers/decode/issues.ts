import type { StandardSchemaV1 } from "@standard-schema/spec";

import { quote } from "../../errors.ts";

const shownIssues = 10;
const shownCharacters = 200;

/**
 * The issues of a schema in one line: where, and what is wrong, without the value found there.
 *
 * Some libraries write the value into their message, so it is taken out again. Names of members do show.
 */
export function describeIssues(issues: readonly StandardSchemaV1.Issue[], found: unknown): string {
  const shown = issues.slice(0, shownIssues).map((issue) => describeIssue(issue, found));
  if (issues.length > shown.length) shown.push(`and ${issues.length - shown.length} more`);
  return shown.join(", ");
}

function describeIssue({ message, path = [] }: StandardSchemaV1.Issue, found: unknown): string {
  const keys = path.map((segment) => (typeof segment === "object" ? segment.key : segment));
  const text = withoutValue(message, valueAt(found, keys));
  return `${describePath(keys)}: ${text.length > shownCharacters ? `${text.slice(0, shownCharacters)}...` : text}`;
}

function describePath(keys: readonly PropertyKey[]): string {
  if (keys.length === 0) return "(whole content)";
  return keys.map((key) => (typeof key === "string" && !/^[\w-]{1,100}$/.test(key) ? quote(key) : String(key))).join(".");
}

function valueAt(found: unknown, keys: readonly PropertyKey[]): unknown {
  let value = found;
  for (const key of keys) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.getOwnPropertyDescriptor(value, key)?.value;
  }
  return value;
}

function withoutValue(message: string, value: unknown): string {
  if (typeof value === "number")
    return message.replaceAll(new RegExp(`(?<![\\w.])${String(value).replaceAll(/[.+]/g, "\\$&")}(?!\\w|\\.\\d)`, "g"), "...");
  if (typeof value !== "string" || value === "") return message;
  const quoted = [JSON.stringify(value), `'${value}'`, `\`${value}\``].reduce((text, form) => text.replaceAll(form, "..."), message);
  // A short value without quotation marks would hit the words of the message itself.
  return value.length < 4 ? quoted : quoted.replaceAll(value, "...");
}
