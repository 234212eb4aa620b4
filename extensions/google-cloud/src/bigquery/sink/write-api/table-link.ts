import type { protos } from "@google-cloud/bigquery-storage";
import type { Clock } from "event-driver";

import type { EncodedRow } from "../row-writer.ts";
import type { TableSchema, WriteApi } from "./write-api.ts";

import { type Columns, readColumns } from "../rows/column.ts";
import { protoDescriptor } from "../rows/proto-row.ts";
import { AppendConnection } from "./append-connection.ts";
import { type Outcome, readRejection, readResponse } from "./outcome.ts";

/** What the table looked like when rows were encoded; only with this can they be read. */
export interface TableShape {
  readonly columns: Columns;
  readonly descriptor: protos.google.protobuf.IDescriptorProto;
}

export interface ProtoRow extends EncodedRow {
  readonly shape: TableShape;
  readonly message: Uint8Array;
}

export interface TableLinkSettings {
  readonly clock: Clock;
  /** Milliseconds that an answer may take. */
  readonly timeout: number;
  /** Told what the table looks like when BigQuery says that it has changed. */
  readonly onSchema: (schema: TableSchema) => void;
}

interface Link {
  readonly stream: string;
  readonly shape: TableShape;
  readonly connection: AppendConnection;
}

export function shapeOf(schema: TableSchema | null | undefined): TableShape {
  const columns = readColumns(schema?.fields);
  return { columns, descriptor: protoDescriptor(columns) };
}

/** The connections to one table: one for each stream and shape of rows, for a connection says at its beginning what its rows look like. */
export class TableLink {
  readonly #api: WriteApi;
  readonly #settings: TableLinkSettings;
  #links: readonly Link[] = [];

  constructor(api: WriteApi, settings: TableLinkSettings) {
    this.#api = api;
    this.#settings = settings;
  }

  /** Appends rows of one shape; `offset` is where on the stream they belong. Never rejects. */
  async send(rows: readonly ProtoRow[], stream: string, offset?: number): Promise<Outcome> {
    const shape = rows[0]?.shape;
    if (shape === undefined) return { status: "stored", refused: [] };
    try {
      const messages = rows.map((row) => row.message);
      const response = await this.#connection(stream, shape).append(messages, offset);
      if (response.updatedSchema) this.#settings.onSchema(response.updatedSchema);
      return readResponse(response, shape.columns);
    } catch (error) {
      return readRejection(error);
    }
  }

  close(): void {
    for (const { connection } of this.#links) connection.close();
  }

  #connection(stream: string, shape: TableShape): AppendConnection {
    const open = this.#links.find((link) => link.stream === stream && link.shape === shape && !link.connection.ended);
    if (open !== undefined) return open.connection;
    const busy = this.#links.filter((link) => !link.connection.idle);
    for (const link of this.#links) if (link.connection.idle) link.connection.close();
    const { clock, timeout } = this.#settings;
    const connection = new AppendConnection({
      stream: this.#api.connect(stream),
      writeStream: stream,
      descriptor: shape.descriptor,
      clock,
      timeout,
    });
    this.#links = [...busy, { stream, shape, connection }];
    return connection;
  }
}
