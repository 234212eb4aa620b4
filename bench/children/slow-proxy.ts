import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from "node:http";

import { services } from "../../test/services.ts";

/** What the proxy says first. */
export interface SlowProxy {
  readonly url: string;
  /** The emulated service behind it. */
  readonly upstream: string;
  /** Whether that answers. */
  readonly isUp: boolean;
}

/** A request that came by. */
export interface SeenRequest {
  readonly method: string;
  /** Path and query, still encoded. */
  readonly path: string;
}

/** Milliseconds that each request is held up, as on its way to another machine and back. */
const latency = 20;

// A process of its own, so that its CPU time is not taken for that of a client.
const upstream = services.gcs.url;
const { host } = new URL(upstream);
const agent = new Agent({ keepAlive: true });
let seen: SeenRequest[] = [];

const server = createServer((incoming, response) => {
  seen.push({ method: incoming.method ?? "", path: incoming.url ?? "" });
  setTimeout(() => forward(incoming, response), latency);
});
// A connection closed for idleness, just as its client uses it again, would fail a round.
server.keepAliveTimeout = 0;
server.listen(0, "127.0.0.1", () => void introduce());

// Asked before and after a load, it tells what has come by since it was asked last.
process.on("message", () => {
  process.send?.(seen);
  seen = [];
});

async function introduce(): Promise<void> {
  const isUp = await fetch(upstream).then(
    () => true,
    () => false,
  );
  const introduction: SlowProxy = { url: `http://127.0.0.1:${port()}`, upstream, isUp };
  process.send?.(introduction);
}

function forward(incoming: IncomingMessage, response: ServerResponse): void {
  const url = new URL(incoming.url ?? "", upstream);
  const sent = request(url, { agent, method: incoming.method ?? "GET", headers: { ...incoming.headers, host } });
  sent.on("error", () => response.destroy());
  sent.on("response", (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  incoming.pipe(sent);
}

function port(): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
