import { createHash } from "node:crypto";
import { type AnyMessage, type Clock, identityOf, TimeoutError } from "event-driver";

import type { Answer, EncodedRow, RowWriter } from "../row-writer.ts";
import type { TableRow } from "../sink-options.ts";
import type { InsertAllRow, InsertApi } from "./insert-api.ts";

import { type Columns, readColumns } from "../rows/column.ts";
import { convertRow } from "../rows/convert.ts";
import { jsonRow } from "../rows/json-row.ts";
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
  #api: InsertApi | undefined;
  #columns: Columns = new Map();
  /** Whether the table may look different by now. */
  #outdated = true;
  #reading: Promise<void> | undefined;

  constructor(settings: InsertAllWriterSettings) {
    this.#settings = settings;
  }

  async open(): Promise<void> {
    if (!this.#outdated) return;
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
    await this.#reading;
  }

  encode(row: TableRow, message: AnyMessage): InsertRow {
    const encoded = { insertId: insertIdOf(message), json: jsonRow(convertRow(this.#columns, row)) };
    return { row: encoded, bytes: Buffer.byteLength(JSON.stringify(encoded)), shape: undefined };
  }

  async append(rows: readonly InsertRow[]): Promise<Answer> {
    try {
      await this.#inTime(this.#api?.insert(rows.map(({ row }) => row)));
      return { status: "stored", refused: [] };
    } catch (error) {
      const answer = readFailure(error, this.#columns);
      // The table may have been changed or made anew; the next row finds out.
      if (answer.status === "failed" && !answer.passing) this.#outdated = true;
      return answer;
    }
  }

  async close(): Promise<void> {
    // Its client holds nothing open.
  }

  async #read(): Promise<void> {
    this.#api ??= await this.#settings.openApi();
    this.#columns = readColumns(await this.#inTime(this.#api.readFields()));
    this.#outdated = false;
  }

  async #inTime<Value>(call: Promise<Value> | undefined): Promise<Value | undefined> {
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
