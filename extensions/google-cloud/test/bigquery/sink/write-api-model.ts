import { EventEmitter } from "node:events";

import type { AppendResponse, AppendStream } from "../../../src/bigquery/sink/write-api/append-connection.ts";
import type { TableSchema, WriteApi } from "../../../src/bigquery/sink/write-api/write-api.ts";

/** What happens to one append: it is stored and answered, or the connection breaks before or after it is stored, or it is left unanswered. */
export type Fate = "answered" | "cut before" | "cut after" | "silent" | AppendResponse;

type AppendRequest = Parameters<AppendStream["write"]>[0];

/** The Storage Write API as BigQuery documents it, for one table of text, in memory. */
export class WriteApiModel implements WriteApi {
  readonly defaultStream = "table/streams/_default";
  /** Each row that is stored, as often as it is. */
  readonly stored: string[] = [];
  /** The requests in the order they came. */
  readonly requests: AppendRequest[] = [];
  /** What happens to the next appends; those after them are answered. */
  readonly fates: Fate[] = [];
  readonly connections: ModelConnection[] = [];
  readonly #lengths = new Map<string, number>();
  schema: TableSchema = { fields: [{ name: "id", type: "STRING", mode: "NULLABLE" }] };
  schemaReads = 0;
  createStreamFails: Error | undefined;
  closed = 0;

  async readSchema(): Promise<TableSchema> {
    this.schemaReads += 1;
    return this.schema;
  }

  async createStream(): Promise<string> {
    if (this.createStreamFails !== undefined) throw this.createStreamFails;
    const name = `table/streams/${this.#lengths.size + 1}`;
    this.#lengths.set(name, 0);
    return name;
  }

  connect(stream: string): AppendStream {
    const connection = new ModelConnection(
      (request) => this.#append(stream, request),
      () => this.fates.shift() ?? "answered",
    );
    this.connections.push(connection);
    return connection;
  }

  async close(): Promise<void> {
    this.closed += 1;
  }

  /** Ends a stream, as BigQuery does with one that was not used for days. */
  remove(stream: string): void {
    this.#lengths.delete(stream);
  }

  #append(stream: string, request: AppendRequest): AppendResponse {
    this.requests.push(request);
    const rows = request.protoRows?.rows?.serializedRows ?? [];
    const offset = request.offset?.value;
    if (stream !== this.defaultStream) {
      const length = this.#lengths.get(stream);
      if (length === undefined) return { error: { code: 5, message: "no such stream" } };
      if (Number(offset) < length) return { error: { code: 6, message: "already there" } };
      if (Number(offset) > length) return { error: { code: 11, message: "a gap" } };
      this.#lengths.set(stream, length + rows.length);
    }
    for (const row of rows) this.stored.push(Buffer.from(row.subarray(2)).toString());
    return { appendResult: {} };
  }
}

/** One connection; it answers in order, so after a request that it leaves unanswered it answers none. */
class ModelConnection extends EventEmitter implements AppendStream {
  readonly #append: (request: AppendRequest) => AppendResponse;
  readonly #fate: () => Fate;
  cancelled = false;
  ended = false;
  #silent = false;

  constructor(append: (request: AppendRequest) => AppendResponse, fate: () => Fate) {
    super();
    this.#append = append;
    this.#fate = fate;
  }

  write(request: AppendRequest): void {
    const fate = this.#fate();
    queueMicrotask(() => this.#meet(fate, request));
  }

  cancel(): void {
    this.cancelled = true;
  }

  /** The sink says that no more requests come. */
  end(): void {
    this.ended = true;
  }

  /** BigQuery ends the connection, as it does with one that is idle. */
  hangUp(): void {
    this.cancelled = true;
    this.emit("end");
  }

  #meet(fate: Fate, request: AppendRequest): void {
    if (this.cancelled) return;
    if (typeof fate === "object" && !this.#silent) return void this.emit("data", fate);
    const response = fate === "cut before" ? undefined : this.#append(request);
    this.#silent ||= fate === "silent";
    if (this.#silent) return;
    if (fate === "answered") return void this.emit("data", response);
    this.cancelled = true;
    this.emit("error", Object.assign(new Error("the connection broke"), { code: 14 }));
  }
}
