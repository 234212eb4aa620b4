import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { createServer, type RequestListener, type Server } from "node:http";
import { gzipSync } from "node:zlib";
import { afterEach, expect, test } from "vitest";

import { fetchHandler } from "../src/receive/fetch-handler.ts";
import { receiver } from "../src/receive/receiver.ts";
import { binary, recording, structured } from "./requests.ts";

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

test("Express 5 mounts the request listener at a path", async () => {
  const { messages, pipeline: orders } = recording();
  const app = express();
  app.use("/events", receiver(orders).requestListener);
  const url = await serve(app);

  const statuses = [await send(`${url}/events`, binary()), await send(`${url}/events`, structured()), await send(`${url}/other`, binary())];

  expect(statuses).toEqual([204, 204, 404]);
  expect(messages.map(({ content }) => content)).toEqual(['{"total":12}', '{"total":12}']);
});

test("Fastify 5 hands over its raw request when it leaves the body alone", async () => {
  const { messages, pipeline: orders } = recording();
  const listener = receiver(orders).requestListener;
  const app = fastify();
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  app.post("/events", (request, reply) => {
    reply.hijack();
    listener(request.raw, reply.raw);
  });
  const url = await app.listen({ port: 0, host: "127.0.0.1" });

  const statuses = [await send(`${url}/events`, binary()), await send(`${url}/events`, structured())];
  await app.close();

  expect(statuses).toEqual([204, 204]);
  expect(messages.map(({ content }) => content)).toEqual(['{"total":12}', '{"total":12}']);
});

test("a body that a framework has read is taken from its rawBody, where it is no longer compressed", async () => {
  const { messages, pipeline: orders } = recording();
  const app = express();
  app.use(express.raw({ type: "*/*", verify: (request, _response, body) => void Object.assign(request, { rawBody: body }) }));
  app.use(receiver(orders, { contentEncodings: ["gzip"], bodyBytes: 1_000 }).requestListener);
  const url = await serve(app);
  const zipped = binary({}, new Uint8Array(gzipSync('{"total":12}')));
  zipped.headers.set("content-encoding", "gzip");
  const bomb = binary({}, new Uint8Array(gzipSync(`"${"0".repeat(1_000)}"`)));
  bomb.headers.set("content-encoding", "gzip");

  const statuses = [await send(url, binary()), await send(url, zipped), await send(url, bomb)];

  expect(statuses).toEqual([204, 204, 413]);
  expect(messages.map(({ content }) => content)).toEqual(['{"total":12}', '{"total":12}']);
});

test("a body that a framework has read and kept from the receiver is answered with 500, because the sender is right", async () => {
  const { messages, pipeline: orders } = recording();
  const app = express();
  app.use(express.raw({ type: "*/*" }));
  app.use(receiver(orders).requestListener);
  const url = await serve(app);

  const status = await send(url, binary());

  expect(status).toBe(500);
  expect(messages).toEqual([]);
});

test("Hono 4 passes its request to the fetch handler", async () => {
  const { messages, pipeline: orders } = recording();
  const handleEvents = fetchHandler(orders);
  const app = new Hono();
  app.post("/events", (c) => handleEvents(c.req.raw));

  const statuses = [];
  for (const request of [binary(), structured()])
    statuses.push((await app.request(new Request("http://hono.test/events", request))).status);

  expect(statuses).toEqual([204, 204]);
  expect(messages.map(({ content }) => content)).toEqual(['{"total":12}', '{"total":12}']);
});

test("node:http takes the request listener as it is", async () => {
  const { messages, pipeline: orders } = recording();
  const url = await serve(receiver(orders).requestListener);

  expect(await send(url, binary())).toBe(204);
  expect(messages).toHaveLength(1);
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
}

async function send(url: string, request: Request): Promise<number> {
  return (await fetch(new Request(url, request))).status;
}
