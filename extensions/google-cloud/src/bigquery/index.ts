export { type BigQueryEventStore, bigQueryEventStore } from "./big-query-event-store.ts";
export type { BigQueryEventStoreOptions } from "./options.ts";
export type { ReadPolicy } from "./statements.ts";
export type { CreateTableOptions } from "./table.ts";
