import { type AnyMessage, createContext, createMessage, type Message, pipeline } from "event-driver";
import { virtualClock, type VirtualClock } from "event-driver/testing";

import type { Answer, EncodedRow, RowWriter } from "../../../src/bigquery/sink/row-writer.ts";
import type { TableRow } from "../../../src/bigquery/sink/sink-options.ts";

import { Misfit } from "../../../src/bigquery/sink/rows/convert.ts";
import { type BigQuerySink, sinkOver } from "../../../src/bigquery/sink/sink-over.ts";
import { type SendingOptions, sinkSettings } from "../../../src/bigquery/sink/sink-settings.ts";

export const everythingStored: Answer = { status: "stored", refused: [] };
export const outage: Answer = { status: "failed", passing: true, problem: "answered UNAVAILABLE", cause: new Error("down") };

/** A request that the writer was given, to be answered by the test. */
export interface Request {
  readonly ids: readonly string[];
  answer(answer: Answer): void;
}

interface FakeRow extends EncodedRow {
  readonly id: string;
}

/** A row writer that does what the test says. A row's bytes are the length of its message's content; its shape is the message's type. */
export class FakeWriter implements RowWriter<FakeRow> {
  /** Every request so far, by the ids of its rows. */
  readonly requests: (readonly string[])[] = [];
  /** Those that wait for an answer. */
  readonly pending: Request[] = [];
  closed = 0;
  opened: () => Promise<void> = () => Promise.resolve();
  /** Answers at once; while it is absent, requests wait for the test. */
  respond: ((ids: readonly string[], nth: number) => Answer) | undefined;

  open(): Promise<void> {
    return this.opened();
  }

  encode(row: TableRow, message: AnyMessage): FakeRow {
    if (row["misfit"] === true) throw new Misfit("total", "is of type NUMERIC and takes decimal text, toRow gives a boolean");
    return { id: message.id, bytes: String(message.content).length, shape: message.type };
  }

  append(rows: readonly FakeRow[]): Promise<Answer> {
    const ids = rows.map(({ id }) => id);
    this.requests.push(ids);
    if (this.respond !== undefined) return Promise.resolve(this.respond(ids, this.requests.length));
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.pending.push({ ids, answer: resolve });
    return promise;
  }

  async close(): Promise<void> {
    this.closed += 1;
  }
}

/** A sink over the writer. Its pauses are as long as they can get. */
export function sinkOn(
  writer: FakeWriter,
  options: Partial<SendingOptions> = {},
  toRow: (message: Message) => TableRow = () => ({}),
): BigQuerySink {
  const target = { dataset: "shop", table: "orders" };
  return sinkOver<Message, FakeRow>(writer, { ...target, toRow }, sinkSettings({ random: () => 1, ...target, ...options }));
}

/** Ten bytes, unless other content is given. */
export function order(id: string, content = "0123456789", type?: string): Message {
  return createMessage({ id, key: "order-1", source: "orders", content, ...(type !== undefined && { type }) });
}

/** A clock, and a writer that answers each request like this, or when it is told to. */
export function setUp(answer?: typeof everythingStored): { readonly clock: VirtualClock; readonly writer: FakeWriter } {
  const writer = new FakeWriter();
  if (answer !== undefined) writer.respond = () => answer;
  return { clock: virtualClock(), writer };
}

/** Sends a message through a pipeline of the sink alone. */
export function deliver(sink: BigQuerySink, message: Message, signal?: AbortSignal): Promise<void> {
  return pipeline().use(sink).process(createContext({ signal }), message);
}
