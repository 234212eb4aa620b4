import type { AddressInfo } from "node:net";

import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { buffer } from "node:stream/consumers";
import { Storage } from "@google-cloud/storage";
import { PassThroughClient } from "google-auth-library";

import { services } from "../../../../test/services.ts";

/** The emulator as the real service is where it counts: an object is removed only at the generation that is expected. */
export interface StrictService {
  /** Where it listens. */
  readonly url: string;
  close(): Promise<void>;
}

/** A proxy in front of the emulator, which lets through one change of an object at a time and compares what the emulator does not. */
export async function strictService(): Promise<StrictService> {
  const changes = new Map<string, Promise<unknown>>();

  const handle = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await buffer(incoming);
    const { method = "GET", headers } = incoming;
    const url = new URL(incoming.url ?? "", services.gcs.url);
    const send = () => forward(url, { method, headers: { ...headers, host: url.host } }, body);
    const answer = await (method === "GET" ? send() : oneByOne(changes, objectOf(url), () => strictly(url, method, send)));
    response.writeHead(answer.status, answer.headers).end(answer.body);
  };
  const server = createServer((incoming, response) => {
    handle(incoming, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    url: `http://127.0.0.1:${portOf(server.address())}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** A client that sends credentials, as to the real service. */
export function trustingStorageOn(apiEndpoint: string): Storage {
  return new Storage({ projectId: "test", apiEndpoint, useAuthWithCustomEndpoint: true, authClient: new PassThroughClient() });
}

interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: Buffer;
}

async function strictly(url: URL, method: string, send: () => Promise<Answer>): Promise<Answer> {
  const expected = url.searchParams.get("ifGenerationMatch");
  if (method !== "DELETE" || expected === null) return send();
  const current = await fetch(new URL(url.pathname, url));
  if (!current.ok) return { status: current.status, headers: {}, body: Buffer.from(await current.text()) };
  const { generation }: { readonly generation?: string } = Object(await current.json());
  return generation === expected ? send() : { status: 412, headers: {}, body: Buffer.from("conditionNotMet") };
}

function oneByOne<Result>(changes: Map<string, Promise<unknown>>, name: string, change: () => Promise<Result>): Promise<Result> {
  const changed = (changes.get(name) ?? Promise.resolve()).then(change, change);
  changes.set(name, changed);
  return changed;
}

/** Uploads name the object in the query, everything else in the path. */
function objectOf(url: URL): string {
  return url.searchParams.get("name") ?? decodeURIComponent(url.pathname.split("/o/")[1] ?? "");
}

function forward(url: URL, options: object, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, options, (received) => {
      const { statusCode: status = 502, headers } = received;
      buffer(received).then((content) => resolve({ status, headers, body: content }), reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("the service does not listen on a port");
  return address.port;
}
