import { EventDriverError } from "event-driver";

/** The error for a bad option: names the factory, the option, what was given and what is allowed. */
export function invalidOption(factory: string, option: string, given: unknown, allowed: string): EventDriverError {
  const shown = typeof given === "string" ? quote(given) : typeof given === "object" && given !== null ? "an object" : String(given);
  return new EventDriverError("ERR_INVALID_OPTION", {
    message: `${factory}: ${option} is ${shown}, allowed is ${allowed}`,
    retryable: false,
  });
}

/** The error for a message that no CloudEvent can carry as it is. */
export function invalidMessage(id: string, problem: string, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_INVALID_MESSAGE", { message: `message ${quote(id)} ${problem}`, retryable: false, cause });
}

/** An id or a name as an error message shows it: quoted, escaped, and cut after 100 characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}...` : text);
}
