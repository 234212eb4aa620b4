export { type Clock, sleep, systemClock } from "./clock.ts";
export {
  type Context,
  type ContextOptions,
  type ContextValue,
  contextValue,
  createContext,
  deriveContext,
  type EndReason,
  type Logger,
  silentLogger,
} from "./context.ts";
export {
  type ErrorCode,
  type ErrorDetails,
  EventDriverError,
  isEventDriverError,
  isRetryable,
  isRevisionConflict,
  RetryAfterError,
  RevisionConflictError,
  StageError,
  TerminalError,
  TimeoutError,
} from "./errors.ts";
export {
  type Attributes,
  createMessage,
  identityOf,
  isType,
  type Message,
  type MessageInit,
  type StorableContent,
  withAttributes,
  withContent,
  withKey,
  withSource,
} from "./message.ts";
export type { BatchOptions, Settlement } from "./pipeline/batch.ts";
export type { AnyMessage, Handler, Next, PassThrough, StageFunction, SweepReport, Traits } from "./pipeline/handler.ts";
export { type Fits, pipeline, type Pipeline, type PipelineOptions, type Processor } from "./pipeline/pipeline.ts";
export type {
  DueEntry,
  EventStore,
  EventStoreFeatures,
  ListDueOptions,
  ListKeysOptions,
  PersistOptions,
  RemoveOptions,
  Revision,
  StoreCallOptions,
  StoredMessage,
} from "./stores/event-store.ts";
