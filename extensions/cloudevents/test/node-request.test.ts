import { createServer, type IncomingMessage, type Server } from "node:http";
import { systemClock } from "event-driver";
import { afterEach, expect, test } from "vitest";

import { nodeRequest } from "../src/receive/node-request.ts";
import { openSocket } from "./raw-socket.ts";

const limits = { bytes: 100, time: 30_000, clock: systemClock };
const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

test("a body that came with its header is there at once, and its request ends nevertheless", async () => {
  const ended = Promise.withResolvers<void>();
  const taken = Promise.withResolvers<unknown>();
  const connection = await openSocket(
    await serve(async (message) => {
      message.on("close", ended.resolve);
      await Promise.resolve();
      taken.resolve(nodeRequest(message).readBody(limits));
    }),
  );

  connection.socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfirst");

  await ended.promise;
  expect(await taken.promise).toEqual(Buffer.from("first"));
  connection.socket.write("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nagain");
  expect((await connection.closed).match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 204", "HTTP/1.1 204"]);
});

test.each([
  ["in two parts", "Content-Length: 6", ["abc", "def"]],
  ["with no stated length", "Transfer-Encoding: chunked", ["3\r\nabc\r\n", "3\r\ndef\r\n0\r\n\r\n"]],
])("a body that comes %s is read to its end", async (_, field, parts) => {
  const begun = Promise.withResolvers<void>();
  const body = Promise.withResolvers<Uint8Array>();
  const connection = await openSocket(
    await serve(async (message) => {
      await Promise.resolve();
      body.resolve(nodeRequest(message).readBody(limits));
      begun.resolve();
      await body.promise;
    }),
  );

  connection.socket.write(`POST / HTTP/1.1\r\nHost: x\r\n${field}\r\n\r\n${parts[0]}`);
  await begun.promise;
  connection.socket.write(parts[1] ?? "");

  expect(Buffer.from(await body.promise).toString()).toBe("abcdef");
  await connection.receives(/204/);
});

test("a body of which somebody else has had a part is not taken for a whole one", async () => {
  const refused = Promise.withResolvers<unknown>();
  const connection = await openSocket(
    await serve(async (message) => {
      await new Promise((resolve) => message.once("data", resolve));
      await Promise.resolve(nodeRequest(message).readBody(limits)).catch(refused.resolve);
    }),
  );

  connection.socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nfirst");

  expect(await refused.promise).toMatchObject({ message: expect.stringContaining("mount") });
});

/** Answers 204 when `receive` is done with a request. */
async function serve(receive: (message: IncomingMessage) => Promise<void>): Promise<number> {
  const server = createServer((message, response) => void receive(message).then(() => response.writeHead(204).end()));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
