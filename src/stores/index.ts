export type { CopyState, DroppedWrite } from "./copy-queue.ts";
export { replicated, type ReplicatedEventStore, type ReplicatedOptions } from "./replicated.ts";
