import { receiver } from "@event-driver/cloudevents";
import { cloudEvent } from "@google-cloud/functions-framework";
import { getTestServer } from "@google-cloud/functions-framework/testing";
import { HTTP } from "cloudevents";
import { pipeline } from "event-driver";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";

/** A server that receives events and does nothing with them; `npm run bench` starts one process for each kind. */
const kinds: ReadonlyMap<string, () => Server> = new Map([
  ["event-driver", () => createServer(receiver(pipeline().use(async () => {})).requestListener)],
  ["bare node:http and JSON.parse", () => createServer(answering((_, body) => JSON.parse(body)))],
  ["the SDK's HTTP.toEvent", () => createServer(answering((request, body) => HTTP.toEvent({ headers: request.headers, body })))],
  ["functions-framework", functionsFramework],
]);

const open = kinds.get(process.argv[2] ?? "");
if (open === undefined) throw new Error(`this server is none of ${[...kinds.keys()].join(", ")}`);
const server = open();
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

function functionsFramework(): Server {
  cloudEvent("order", () => {});
  return getTestServer("order");
}
