import type { AddressInfo } from "node:net";

import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import { onTestFinished } from "vitest";

export interface SinkRequest {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Sink {
  readonly url: string;
  readonly requests: readonly SinkRequest[];
  /** How many connections were made. */
  readonly connections: number;
  /** Resolves when a request has arrived whole. */
  readonly arrival: Promise<void>;
  /** Resolves when the connection of a response was closed. */
  readonly hangUp: Promise<void>;
}

/** A server on a free port that answers as told, and is gone with the test. */
export async function startSink(answer: (response: ServerResponse, count: number) => void): Promise<Sink> {
  const requests: SinkRequest[] = [];
  const arrival = Promise.withResolvers<void>();
  const hangUp = Promise.withResolvers<void>();
  let connections = 0;
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const { method, url: path, headers } = request;
      requests.push({ method, path, headers, body: Buffer.concat(pieces).toString() });
      answer(response, requests.length);
      arrival.resolve();
    });
    response.on("close", hangUp.resolve);
  });
  server.on("connection", () => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return {
    url: `http://127.0.0.1:${portOf(server.address())}/events`,
    requests,
    get connections() {
      return connections;
    },
    arrival: arrival.promise,
    hangUp: hangUp.promise,
  };
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("the server does not listen on a port");
  return address.port;
}
