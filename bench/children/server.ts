import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";

/**
 * A server that receives events and does nothing with them; `npm run bench` starts one process for each kind.
 *
 * Each loads only what it serves with: functions-framework loads node:domain, and that makes every event emitter of its process slower.
 */
const kinds = new Map<string, () => Server | Promise<Server>>([
  ["event-driver", eventDriver],
  ["bare node:http and JSON.parse", () => createServer(answering((_, body) => JSON.parse(body)))],
  ["the SDK's HTTP.toEvent", sdk],
  ["functions-framework", functionsFramework],
]);

const open = kinds.get(process.argv[2] ?? "");
if (open === undefined) throw new Error(`this server is none of ${[...kinds.keys()].join(", ")}`);
const server = await open();
server.listen(0, "127.0.0.1", () => process.send?.(port()));

// Asked before and after a load, it tells the CPU time of its whole process in microseconds.
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.(user + system);
});

function port(): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function eventDriver(): Promise<Server> {
  const { receiver } = await import("@event-driver/cloudevents");
  const { pipeline } = await import("event-driver");
  return createServer(receiver(pipeline().use(async () => {})).requestListener);
}

async function sdk(): Promise<Server> {
  const { HTTP } = await import("cloudevents");
  return createServer(answering((request, body) => HTTP.toEvent({ headers: request.headers, body })));
}

async function functionsFramework(): Promise<Server> {
  const { cloudEvent } = await import("@google-cloud/functions-framework");
  const { getTestServer } = await import("@google-cloud/functions-framework/testing");
  cloudEvent("order", () => {});
  return getTestServer("order");
}

/** Reads the whole body as text, has it read by `parse`, and answers 204. */
function answering(parse: (request: IncomingMessage, body: string) => unknown): RequestListener {
  return (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      parse(request, Buffer.concat(chunks).toString("utf8"));
      response.writeHead(204).end();
    });
  };
}
