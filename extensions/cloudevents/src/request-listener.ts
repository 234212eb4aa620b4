import type { IncomingMessage, ServerResponse } from "node:http";

import type { EventHandler } from "./event-handler.ts";

import { nodeRequest } from "./node-request.ts";
import { writeResponse } from "./node-response.ts";

/** An event handler as the request listener of a node:http server. */
export function requestListener(handler: EventHandler): (message: IncomingMessage, response: ServerResponse) => void {
  return (message, response) => {
    // Never rejects, see EventHandler.handle.
    void handler.handle(nodeRequest(message)).then((answer) => writeResponse(message, response, answer, handler.stopped));
  };
}
