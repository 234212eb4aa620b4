import { createHash } from "node:crypto";
import { type AnyMessage, type Clock, identityOf, TimeoutError } from "event-driver";

import type { Answer, EncodedRow, RowWriter } from "../row-writer.ts";
import type { TableRow } from "../sink-options.ts";
import type { InsertAllRow, InsertApi } from "./insert-api.ts";

import { type Columns, readColumns } from "../rows/column.ts";
import { jsonRow } from "../rows/json-row.ts";
import { KnownTable } from "../rows/known-table.ts";
import { readFailure } from "./insert-failure.ts";

export interface InsertAllWriterSettings {
  readonly openApi: () => Promise<InsertApi>;
  readonly clock: Clock;
  /** Milliseconds that an answer may take. */
  readonly timeout: number;
}

interface InsertRow extends EncodedRow {
  readonly row: InsertAllRow;
}

/** BigQuery refuses longer ones. */
const longestInsertId = 128;

/** Stores rows through `tabledata.insertAll`. */
export class InsertAllWriter implements RowWriter<InsertRow> {
  readonly #settings: InsertAllWriterSettings;
  readonly #table: KnownTable<{ readonly columns: Columns }>;
  #api: InsertApi | undefined;

  constructor(settings: InsertAllWriterSettings) {
    this.#settings = settings;
    this.#table = new KnownTable(() => this.#readTable(), settings.clock);
  }

  open(): Promise<void> {
    return this.#table.know();
  }

  encode(row: TableRow, message: AnyMessage): InsertRow {
    const encoded = { insertId: insertIdOf(message), json: jsonRow(this.#table.convert(row)) };
    return { row: encoded, bytes: Buffer.byteLength(JSON.stringify(encoded)), shape: undefined };
  }

  async append(rows: readonly InsertRow[]): Promise<Answer> {
    if (this.#api === undefined) throw new Error("the writer was never opened");
    try {
      await this.#inTime(this.#api.insert(rows.map(({ row }) => row)));
      return { status: "stored", refused: [] };
    } catch (error) {
      const answer = readFailure(error, this.#table.shape.columns);
      if (answer.status !== "failed" || !answer.passing) this.#table.doubt();
      return answer;
    }
  }

  async close(): Promise<void> {
    // Its client holds nothing open.
  }

  async #readTable(): Promise<{ readonly columns: Columns }> {
    this.#api ??= await this.#settings.openApi();
    return { columns: readColumns(await this.#inTime(this.#api.readFields())) };
  }

  async #inTime<Value>(call: Promise<Value>): Promise<Value> {
    const { clock, timeout } = this.#settings;
    const late = Promise.withResolvers<never>();
    const stopTimer = clock.after(timeout, () => late.reject(new TimeoutError(`BigQuery has not answered within ${timeout} ms`)));
    try {
      return await Promise.race([call, late.promise]);
    } finally {
      stopTimer();
    }
  }
}

function insertIdOf(message: AnyMessage): string {
  const identity = identityOf(message);
  return identity.length <= longestInsertId ? identity : createHash("sha256").update(identity).digest("base64url");
}
