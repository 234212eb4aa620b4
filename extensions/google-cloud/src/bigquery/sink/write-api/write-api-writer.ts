import type { Clock } from "event-driver";

import type { Answer, RowWriter } from "../row-writer.ts";
import type { TableRow } from "../sink-options.ts";
import type { WriteApi } from "./write-api.ts";

import { KnownTable } from "../rows/known-table.ts";
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
  readonly #table: KnownTable<TableShape>;
  #opened: Opened | undefined;

  constructor(settings: WriteApiWriterSettings) {
    this.#settings = settings;
    this.#table = new KnownTable(() => this.#readTable(), settings.clock);
  }

  open(): Promise<void> {
    return this.#table.know();
  }

  encode(row: TableRow): ProtoRow {
    const message = protoRow(this.#table.convert(row));
    return { message, bytes: message.length, shape: this.#table.shape };
  }

  async append(rows: readonly ProtoRow[]): Promise<Answer> {
    if (this.#opened === undefined) throw new Error("the writer was never opened");
    const outcome = await this.#opened.append(rows);
    if (outcome.status === "refused" || (outcome.status === "failed" && !outcome.passing)) this.#table.doubt();
    return outcome.status === "failed" ? asAnswer(outcome) : outcome;
  }

  async close(): Promise<void> {
    this.#opened?.link.close();
    await this.#opened?.api.close();
  }

  async #readTable(): Promise<TableShape> {
    this.#opened ??= await this.#connect();
    return shapeOf(await this.#opened.api.readSchema());
  }

  async #connect(): Promise<Opened> {
    const { openApi, exactlyOnce, clock, timeout } = this.#settings;
    const api = await openApi();
    const link = new TableLink(api, { clock, timeout, onSchema: (schema) => this.#table.learn(shapeOf(schema)) });
    const counted = new CountedStream(link, () => api.createStream());
    return { api, link, append: (rows) => (exactlyOnce ? counted.append(rows) : link.send(rows, api.defaultStream)) };
  }
}
