import * as functions from "@google-cloud/functions-framework";
import { getTestServer } from "@google-cloud/functions-framework/testing";
import { createMessage, pipeline, type Pipeline } from "event-driver";
import { randomUUID } from "node:crypto";
import { request, type Server } from "node:http";
import { afterEach } from "vitest";

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

/** Serves a function as the framework does, on loopback. Returns its URL. */
export async function serveHttp(handler: Parameters<typeof functions.http>[1]): Promise<string> {
  const name = `f-${randomUUID()}`;
  functions.http(name, handler);
  return listen(name);
}

/** The same for a CloudEvent function. */
export async function serveCloudEvent(handler: (event: unknown) => Promise<void>): Promise<string> {
  const name = `f-${randomUUID()}`;
  functions.cloudEvent(name, handler);
  return listen(name);
}

/** A pipeline that answers each message with its own content. */
export function echo(): Pipeline {
  return pipeline().use(async (ctx, { key, content, attributes }) => {
    ctx.reply(createMessage({ id: "reply", key, source: "echo", content, attributes }));
  });
}

/** The header of an event in binary mode. */
export function header(changes: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    "ce-specversion": "1.0",
    "ce-id": "e-1",
    "ce-source": "/shop#event1",
    "ce-type": "order.created",
    "ce-key": "order-1",
    "content-type": "application/json",
    ...changes,
  };
}

/** The JSON of an event; `data` is JSON text and stands in it as it is. */
export function eventText(id: string, data: string): string {
  return `{"specversion":"1.0","id":"${id}","source":"/shop#event1","type":"order.created","key":"${id}","datacontenttype":"application/json","data":${data}}`;
}

/** A POST; what is answered. */
export async function post(
  url: string,
  headers: Readonly<Record<string, string>>,
  body?: string | Uint8Array<ArrayBuffer>,
): Promise<Response> {
  return fetch(url, { method: "POST", headers, ...(body !== undefined && { body }) });
}

/** A POST that has no body and says nothing of one, which fetch cannot send. */
export function postNothing(url: string, headers: Readonly<Record<string, string>>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.removeHeader("transfer-encoding");
    sent.on("error", reject);
    sent.useChunkedEncodingByDefault = false;
    sent.end();
  });
}

async function listen(name: string): Promise<string> {
  const server = getTestServer(name);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/`;
}
