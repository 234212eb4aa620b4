import type { BigQueryWriteClient, protos } from "@google-cloud/bigquery-storage";

import { createRequire } from "node:module";

import type { AppendStream } from "./append-connection.ts";

type ClientOptions = NonNullable<ConstructorParameters<typeof BigQueryWriteClient>[0]>;
export type TableSchema = protos.google.cloud.bigquery.storage.v1.ITableSchema;
type Credentials = NonNullable<ClientOptions["sslCreds"]>;

/** What the sink needs of the Storage Write API, for one table. */
export interface WriteApi {
  /** Name of the stream that every table has. */
  readonly defaultStream: string;
  /** What the table looks like now. */
  readSchema(): Promise<TableSchema | null | undefined>;
  /** Makes a stream that counts its rows; resolves to its name. */
  createStream(): Promise<string>;
  connect(stream: string): AppendStream;
  close(): Promise<void>;
}

export interface WriteApiOptions {
  readonly dataset: string;
  readonly table: string;
  readonly projectId?: string | undefined;
  readonly apiEndpoint?: string | undefined;
  /** A client to use and to leave open. */
  readonly writeClient?: BigQueryWriteClient | undefined;
  /** Milliseconds that a call may take; those made here are repeated within it. */
  readonly timeout: number;
}

/** Loads and makes the client, so that whoever does not use it need not install it. */
export async function openWriteApi(options: WriteApiOptions): Promise<WriteApi> {
  const { dataset, table, timeout, writeClient } = options;
  const client = writeClient ?? (await openWriteClient(options));
  const project = options.projectId ?? (await client.getProjectId());
  const parent = `projects/${project}/datasets/${dataset}/tables/${table}`;

  const defaultStream = `${parent}/streams/_default`;

  return {
    defaultStream,
    async readSchema() {
      const [{ tableSchema }] = await client.getWriteStream({ name: defaultStream, view: "FULL" }, { timeout });
      return tableSchema;
    },
    async createStream() {
      const [{ name }] = await client.createWriteStream({ parent, writeStream: { type: "COMMITTED" } }, { timeout });
      return name ?? "";
    },
    // The header tells Google's front end which region the stream is in.
    connect: (stream) =>
      client.appendRows({ otherArgs: { headers: { "x-goog-request-params": `write_stream=${encodeURIComponent(stream)}` } } }),
    async close() {
      if (writeClient === undefined) await client.close();
    },
  };
}

/** A client with the default credentials, or with none for an endpoint that begins with `http:`. */
export async function openWriteClient({
  projectId,
  apiEndpoint,
}: Pick<WriteApiOptions, "apiEndpoint" | "projectId">): Promise<BigQueryWriteClient> {
  const { BigQueryWriteClient: Client } = await import("@google-cloud/bigquery-storage");
  return new Client({
    ...(projectId !== undefined && { projectId }),
    ...(apiEndpoint !== undefined && endpointOptions(new URL(apiEndpoint))),
    // Finds a connection that is dead but not closed.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
  });
}

function endpointOptions({ protocol, hostname, port }: URL): ClientOptions {
  const insecure = protocol === "http:";
  return {
    apiEndpoint: hostname,
    port: port === "" ? (insecure ? 80 : 443) : Number(port),
    ...(insecure && { sslCreds: insecureCredentials() }),
  };
}

/** They must come from the very copy of gRPC that the client uses, which only the client can reach. */
function insecureCredentials(): Credentials {
  const client = createRequire(import.meta.url).resolve("@google-cloud/bigquery-storage");
  const gax: unknown = createRequire(client)("google-gax");
  if (!offersInsecureCredentials(gax)) throw new Error("google-gax has no insecure credentials; give the sink a writeClient");
  return gax.grpc.credentials.createInsecure();
}

function offersInsecureCredentials(gax: unknown): gax is { grpc: { credentials: { createInsecure: () => Credentials } } } {
  if (typeof gax !== "object" || gax === null || !("grpc" in gax)) return false;
  const { grpc } = gax;
  return typeof grpc === "object" && grpc !== null && "credentials" in grpc;
}
