import type { AddressInfo } from "node:net";

import { BigQuery, type BigQueryOptions } from "@google-cloud/bigquery";
import { PassThroughClient } from "google-auth-library";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { onTestFinished } from "vitest";

/** One request to BigQuery's REST interface, as far as it is read here. */
export interface FakeRequest {
  readonly method: string;
  /** What comes after `/bigquery/v2/projects/PROJECT/`. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: FakeBody;
}

export interface FakeBody {
  readonly tableReference?: object;
  readonly jobReference?: { readonly jobId: string; readonly location?: string };
  readonly configuration?: {
    readonly dryRun?: boolean;
    readonly jobTimeoutMs?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly query: {
      readonly query: string;
      readonly maximumBytesBilled?: string;
      readonly useQueryCache?: boolean;
      readonly queryParameters?: readonly { readonly name: string; readonly parameterValue: { readonly value?: unknown } }[];
    };
  };
}

/** What is answered; `"cut"` closes the connection without an answer, and a promise that never settles leaves the client waiting. */
export type FakeAnswer = { readonly status?: number; readonly json: object } | "cut";

export interface FakeBigQuery {
  /** Everything that was asked, in order. */
  readonly requests: readonly FakeRequest[];
  /** Resolves with a request when it has come, also when it came before. */
  received(isIt: (request: FakeRequest) => boolean): Promise<FakeRequest>;
  client(options?: BigQueryOptions): BigQuery;
}

/**
 * A server on loopback that answers as a test says; `undefined` stands for success: a job that is done, and a result without rows. It is closed
 * when the test has finished.
 */
export async function fakeBigQuery(answer: (request: FakeRequest) => FakeAnswer | undefined | Promise<FakeAnswer>): Promise<FakeBigQuery> {
  const requests: FakeRequest[] = [];
  const waiting = new Set<() => void>();
  const server = createServer((incoming, outgoing) => {
    void readRequest(incoming).then(async (request) => {
      requests.push(request);
      for (const look of waiting) look();
      const given = (await answer(request)) ?? success(request);
      if (given === "cut") outgoing.destroy();
      else outgoing.writeHead(given.status ?? 200, { "content-type": "application/json" }).end(JSON.stringify(given.json));
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });

  return {
    requests,
    received: (isIt) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = requests.find(isIt);
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    client: (options = {}) =>
      new BigQuery({
        projectId: "test-project",
        apiEndpoint: `http://127.0.0.1:${portOf(server.address())}`,
        authClient: new PassThroughClient(),
        retryOptions: { autoRetry: false },
        ...options,
      }),
  };
}

/** A refusal as BigQuery words it. */
export function refusal(status: number, reason: string, message = "as told by BigQuery"): FakeAnswer {
  return { status, json: { error: { code: status, message, errors: [{ domain: "global", reason, message }] } } };
}

export function isNewJob({ method, path }: FakeRequest): boolean {
  return method === "POST" && path === "jobs";
}

export function isForResults({ path }: FakeRequest): boolean {
  return path.startsWith("queries/");
}

export function isCancel({ path }: FakeRequest): boolean {
  return path.endsWith("/cancel");
}

/** A new job, and a table, are told by what they are asked for with. */
function success({ path, body }: FakeRequest): FakeAnswer {
  if (path.startsWith("queries/")) return { json: { jobComplete: true, schema: { fields: [] }, rows: [] } };
  return { json: { tableReference: body.tableReference, jobReference: body.jobReference, status: { state: "DONE" } } };
}

async function readRequest(incoming: IncomingMessage): Promise<FakeRequest> {
  const url = new URL(incoming.url ?? "/", "http://127.0.0.1");
  const body = await text(incoming);
  return {
    method: incoming.method ?? "GET",
    path: url.pathname.replace(/^\/bigquery\/v2\/projects\/[^/]+\//, ""),
    query: url.searchParams,
    body: body === "" ? {} : JSON.parse(body),
  };
}

function portOf(address: string | AddressInfo | null): number {
  if (address === null || typeof address === "string") throw new Error("the server does not listen on a port");
  return address.port;
}
