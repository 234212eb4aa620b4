import { randomUUID } from "node:crypto";

import type { SeenRequest } from "../children/slow-proxy.ts";
import type { Bucket } from "./slow-service.ts";

/** One request of an order, as the store has made it. */
export type Request =
  | { readonly kind: "list"; readonly query: Readonly<Record<string, string>> }
  | { readonly kind: "read"; readonly name: string }
  | { readonly kind: "write"; readonly name: string; readonly bytes: Buffer; readonly isNew: boolean };

/** Reads what the store has asked for in `bucket`, where what it has written still lies. */
export function recorded(seen: readonly SeenRequest[], bucket: Bucket): Promise<readonly Request[]> {
  return Promise.all(seen.map((request) => parse(request, bucket)));
}

/** One way to make them. A name has a folder in front of it that no other order has. */
export interface BareClient {
  list(query: Readonly<Record<string, string>>): Promise<unknown>;
  read(name: string): Promise<unknown>;
  /** Resolves to the new generation. */
  write(name: string, bytes: Buffer, expected: Generation): Promise<Generation>;
}

type Generation = string | number;

/** Makes them one after another; only reads that follow one another go side by side, as the store's do. */
export async function makeRequests(requests: readonly Request[], client: BareClient): Promise<void> {
  const folder = randomUUID();
  const generations = new Map<string, Generation>();
  const reads: Promise<unknown>[] = [];
  for (const request of requests) {
    if (request.kind === "read") {
      reads.push(client.read(`${folder}/${request.name}`));
      continue;
    }
    await Promise.all(reads.splice(0));
    if (request.kind === "list") {
      await client.list({ ...request.query, prefix: `${folder}/${request.query["prefix"]}` });
      continue;
    }
    const { name, bytes, isNew } = request;
    const expected = isNew ? 0 : (generations.get(name) ?? Number.NaN);
    generations.set(name, await client.write(`${folder}/${name}`, bytes, expected));
  }
  await Promise.all(reads);
}

/** The methods that a service would call. */
export function byMethods(bucket: Bucket): BareClient {
  return {
    list: (query) => bucket.getFiles({ ...query, autoPaginate: false }),
    read: (name) => bucket.file(name).download(),
    async write(name, bytes, expected) {
      const file = bucket.file(name);
      const metadata = { contentType, metadata: { token: randomUUID(), over: String(expected) } };
      await file.save(bytes, { resumable: false, preconditionOpts: { ifGenerationMatch: expected }, metadata });
      return file.metadata.generation ?? Number.NaN;
    },
  };
}

/** What those come down to, with no checksum made or verified and no failure looked at: less the client cannot do. */
export function byRequest(bucket: Bucket): BareClient {
  const send = (options: Parameters<Bucket["request"]>[0]): Promise<{ readonly generation?: Generation }> =>
    new Promise((resolve, reject) => bucket.request(options, (error, body: object) => (error ? reject(error) : resolve(body))));
  return {
    list: (qs) => send({ uri: "/o", qs }),
    read: (name) => send({ uri: `/o/${encodeURIComponent(name)}`, qs: { alt: "media" } }),
    async write(name, bytes, expected) {
      const resource = JSON.stringify({ contentType, metadata: { token: randomUUID(), over: String(expected) } });
      const { generation } = await send({
        method: "POST",
        uri: `${bucket.storage.apiEndpoint}/upload/storage/v1/b/${bucket.name}/o`,
        qs: { uploadType: "multipart", name, ifGenerationMatch: expected, fields: "generation" },
        headers: { "Content-Type": "multipart/related; boundary=part" },
        body: Buffer.concat([
          Buffer.from(`--part\r\nContent-Type: application/json\r\n\r\n${resource}\r\n--part\r\nContent-Type: ${contentType}\r\n\r\n`),
          bytes,
          Buffer.from("\r\n--part--"),
        ]),
      });
      return generation ?? Number.NaN;
    },
  };
}

const contentType = "application/octet-stream";

async function parse({ method, path }: SeenRequest, bucket: Bucket): Promise<Request> {
  const { pathname, searchParams } = new URL(path, bucket.storage.apiEndpoint);
  const query = Object.fromEntries(searchParams);
  const { name, ifGenerationMatch } = query;
  if (method === "POST" && name !== undefined) {
    const [bytes] = await bucket.file(name).download();
    return { kind: "write", name, bytes, isNew: ifGenerationMatch === "0" };
  }
  const [, object] = /\/o\/(.+)$/.exec(pathname) ?? [];
  if (method === "GET") return object === undefined ? { kind: "list", query } : { kind: "read", name: decodeURIComponent(object) };
  throw new Error(`a ${method} was not foreseen: add it to the requests that the bare client makes`);
}
