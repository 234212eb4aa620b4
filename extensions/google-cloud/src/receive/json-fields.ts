import { EventDriverError } from "event-driver";

/** An object of parsed JSON, of which nothing is known yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a value of parsed JSON is an object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The error for data that is not what its type says. It names the member and the rule, never a value. */
export function invalidData(problem: string, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_INVALID_MESSAGE", { message: problem, retryable: false, cause });
}

/**
 * The JSON object that data is.
 *
 * @param what whose data, for the error
 * @throws EventDriverError `ERR_INVALID_MESSAGE`
 */
export function parseObject(data: string | Uint8Array | undefined, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(typeof data === "string" ? data : new TextDecoder("utf-8", { fatal: true }).decode(data));
  } catch (cause) {
    // Not the parser's own words: they quote the data.
    throw invalidData(`${what} is not JSON in UTF-8`, cause instanceof SyntaxError ? undefined : cause);
  }
  if (!isObject(value)) throw invalidData(`${what} is not a JSON object`);
  return value;
}

/**
 * A member that is text, or is not there.
 *
 * @throws EventDriverError `ERR_INVALID_MESSAGE`
 */
export function textIn(object: JsonObject, name: string, what: string = "a JSON object"): string | undefined {
  const value = object[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") throw invalidData(`the ${name} of ${what} is not a string`);
  return value;
}

/**
 * A member that maps names to text, or is not there. Has no prototype.
 *
 * @throws EventDriverError `ERR_INVALID_MESSAGE`
 */
export function textsIn(object: JsonObject, name: string, what: string): Readonly<Record<string, string>> {
  const texts: Record<string, string> = Object.create(null);
  const value = object[name];
  if (value === undefined || value === null) return texts;
  if (!isObject(value)) throw invalidData(`the ${name} of ${what} are not an object`);
  for (const [each, text] of Object.entries(value)) {
    if (typeof text !== "string") throw invalidData(`one of the ${name} of ${what} is not a string`);
    texts[each] = text;
  }
  return texts;
}
