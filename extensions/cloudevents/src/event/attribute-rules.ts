import { EventDriverError } from "event-driver";

const required = ["id", "source", "type"] as const;
const mayNotBeEmpty = ["subject", "dataschema", "datacontenttype"] as const;
const timestamp =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const forbiddenCharacter = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u;
const printableAscii = /^[\x20-\x7e]*$/;

/** The error for a request or an entry of a batch that is not a CloudEvent. It names the attribute and the rule, never a value. */
export function invalidEvent(problem: string, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_INVALID_EVENT", { message: `not a CloudEvent: ${problem}`, retryable: false, cause });
}

/**
 * Checks what CloudEvents 1.0.2 says an event MUST be, and nothing it does not say: a `source` need not be a perfect URI reference, and a
 * name may be longer than 20 characters.
 *
 * @throws EventDriverError `ERR_INVALID_EVENT`
 */
export function checkAttributes(attributes: Readonly<Record<string, string>>): void {
  const version = attributes["specversion"];
  if (version === undefined) throw invalidEvent("it has no specversion");
  if (version !== "1.0") throw invalidEvent("its specversion is not 1.0");
  for (const name of required) {
    if (attributes[name] === undefined) throw invalidEvent(`it has no ${name}`);
    if (attributes[name] === "") throw invalidEvent(`its ${name} is empty`);
  }
  for (const name of mayNotBeEmpty) {
    if (attributes[name] === "") throw invalidEvent(`its ${name} is empty; leave it out`);
  }
  const time = attributes["time"];
  if (time !== undefined && !isTimestamp(time)) throw invalidEvent("its time is not an RFC 3339 timestamp");
}

/** CloudEvents section "Attribute naming convention": lower-case letters and digits, and never `data`. */
export function isAttributeName(name: string): boolean {
  if (name.length === 0 || name === "data") return false;
  for (let at = 0; at < name.length; at += 1) {
    const code = name.charCodeAt(at);
    if (!((code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39))) return false;
  }
  return true;
}

/** CloudEvents section "Type system", String: no control characters, lone surrogates or noncharacters. */
export function isAttributeText(text: string): boolean {
  return printableAscii.test(text) || !forbiddenCharacter.test(text);
}

/** RFC 3339 with the calendar checked, and any number of digits behind the second. */
export function isTimestamp(text: string): boolean {
  if (!timestamp.test(text)) return false;
  const day = text.slice(8, 10);
  return day <= "28" || Number(day) <= daysIn(Number(text.slice(0, 4)), Number(text.slice(5, 7)));
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
