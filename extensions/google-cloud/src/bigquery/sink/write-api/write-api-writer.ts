import type { Clock } from "event-driver";

import type { Answer, RowWriter } from "../row-writer.ts";
import type { TableRow } from "../sink-options.ts";
import type { WriteApi } from "./write-api.ts";

import { convertRow } from "../rows/convert.ts";
import { protoRow } from "../rows/proto-row.ts";
import { CountedStream } from "./counted-stream.ts";
import { asAnswer, type Outcome } from "./outcome.ts";
import { type ProtoRow, shapeOf, TableLink, type TableShape } from "./table-link.ts";

export interface WriteApiWriterSettings {
  readonly openApi: () => Promise<WriteApi>;
  /** Whether rows go to a stream of their own that counts them; then only one append may be open at a time. */
  readonly exactlyOnce: boolean;
  readonly clock: Clock;
  /** Milliseconds that an answer may take. */
  readonly timeout: number;
}

interface Opened {
  readonly api: WriteApi;
  readonly link: TableLink;
  readonly append: (rows: readonly ProtoRow[]) => Promise<Outcome>;
}

/** Stores rows through the Storage Write API. */
export class WriteApiWriter implements RowWriter<ProtoRow> {
  readonly #settings: WriteApiWriterSettings;
  #opened: Opened | undefined;
  #shape: TableShape | undefined;
  /** Whether the table may look different by now. */
  #outdated = true;
  #reading: Promise<void> | undefined;

  constructor(settings: WriteApiWriterSettings) {
    this.#settings = settings;
  }

  async open(): Promise<void> {
    if (!this.#outdated) return;
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
    await this.#reading;
  }

  encode(row: TableRow): ProtoRow {
    const shape = required(this.#shape);
    const message = protoRow(convertRow(shape.columns, row));
    return { message, bytes: message.length, shape };
  }

  async append(rows: readonly ProtoRow[]): Promise<Answer> {
    const outcome = await required(this.#opened).append(rows);
    if (outcome.status !== "failed") return outcome;
    // The table may have been changed or made anew; the next row finds out.
    if (!outcome.passing) this.#outdated = true;
    return asAnswer(outcome);
  }

  async close(): Promise<void> {
    this.#opened?.link.close();
    await this.#opened?.api.close();
  }

  async #read(): Promise<void> {
    this.#opened ??= await this.#connect();
    this.#shape = shapeOf(await this.#opened.api.readSchema());
    this.#outdated = false;
  }

  async #connect(): Promise<Opened> {
    const { openApi, exactlyOnce, clock, timeout } = this.#settings;
    const api = await openApi();
    const link = new TableLink(api, { clock, timeout, onSchema: (schema) => void (this.#shape = shapeOf(schema)) });
    const counted = new CountedStream(link, () => api.createStream());
    return { api, link, append: (rows) => (exactlyOnce ? counted.append(rows) : link.send(rows, api.defaultStream)) };
  }
}

/** @throws Error where `open` was not awaited, which only a mistake of the sink can bring about */
function required<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("the row writer was used before it was open");
  return value;
}
