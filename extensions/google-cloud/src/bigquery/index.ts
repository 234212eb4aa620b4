export { type BigQueryEventStore, bigQueryEventStore } from "./big-query-event-store.ts";
export type { BigQueryEventStoreOptions } from "./options.ts";
export type { ReadPolicy } from "./statements.ts";
export type { CreateTableOptions } from "./table.ts";
export { bigQuerySink } from "./sink/bigquery-sink.ts";
export type { BigQuerySink } from "./sink/sink-over.ts";
export type { BigQuerySinkOptions, SinkBatch, SinkBuffer, SinkRetry, TableRow, TableValue } from "./sink/sink-options.ts";
