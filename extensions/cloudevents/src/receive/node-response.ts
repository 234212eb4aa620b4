import type { IncomingMessage, ServerResponse } from "node:http";

import type { EventResponse } from "./request.ts";

/** How much of a body that nobody wants is still taken from the socket, in bytes, and for how long, in milliseconds. */
const lingering = { bytes: 262_144, time: 1_000 };

/**
 * Writes an answer, unless somebody else has answered or the client is gone.
 *
 * An answer to a large request that has not been read to its end closes the connection, but not at once: a socket that is closed over unread
 * bytes is reset, and the sender would lose the answer with it. So a little more is read and thrown away meanwhile.
 *
 * @param last whether the connection is to be closed behind it
 */
export function writeResponse(message: IncomingMessage, response: ServerResponse, answer: EventResponse, last: boolean): void {
  if (response.headersSent || response.destroyed) return;
  const { status, headers, body } = answer;
  const fields: Record<string, string | number> = { ...headers };
  if (body !== undefined) fields["content-length"] = typeof body === "string" ? Buffer.byteLength(body) : body.length;
  const abandoned = !message.complete && (status === 408 || hasLargeBody(message));
  if ((last || abandoned) && message.httpVersionMajor === 1) fields["connection"] = "close";
  response.writeHead(status, fields);
  if (!abandoned) return void response.end(body);
  if (body === undefined) response.flushHeaders();
  else response.write(body);
  linger(message, () => response.end());
}

/** Whether there is more to come than Node may throw away by itself when the connection is used again. */
function hasLargeBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"]) > lingering.bytes;
}

function linger(message: IncomingMessage, done: () => void): void {
  let size = 0;
  const onData = (chunk: Buffer): void => {
    size += chunk.length;
    if (size > lingering.bytes) finish();
  };
  const finish = (): void => {
    clearTimeout(timer);
    message.off("data", onData).off("end", finish).off("close", finish).off("error", finish).pause();
    done();
  };
  const timer = setTimeout(finish, lingering.time);
  message.on("data", onData).on("end", finish).on("close", finish).on("error", finish).resume();
}
