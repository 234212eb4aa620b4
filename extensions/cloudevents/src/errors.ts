import { EventDriverError, quote } from "event-driver";

/** The error for a message that no CloudEvent can carry as it is. */
export function invalidMessage(id: string, problem: string): EventDriverError {
  return new EventDriverError("ERR_INVALID_MESSAGE", { message: `message ${quote(id)} ${problem}`, retryable: false });
}
