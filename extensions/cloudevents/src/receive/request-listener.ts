import type { IncomingMessage, ServerResponse } from "node:http";

import type { EventHandler } from "./event-handler.ts";

import { nodeRequest } from "./node-request.ts";
import { writeResponse } from "./node-response.ts";

/**
 * An event handler as the request listener of a node:http server.
 *
 * @param onAnswered runs when an answer has been given to the socket, which may not have taken all of it yet
 */
export function requestListener(
  handler: EventHandler,
  onAnswered?: (response: ServerResponse) => void,
): (message: IncomingMessage, response: ServerResponse) => void {
  const answer = async (message: IncomingMessage, response: ServerResponse): Promise<void> => {
    writeResponse(message, response, await handler.handle(nodeRequest(message)), handler.stopped);
    onAnswered?.(response);
  };
  // Never rejects, see EventHandler.handle.
  return (message, response) => void answer(message, response);
}
