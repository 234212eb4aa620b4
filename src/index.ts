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
export type { ClaimOptions } from "./claims/claim-options.ts";
export type { ClaimContext, ClaimInfo } from "./claims/guard.ts";
export type { Step, StepOptions } from "./claims/steps.ts";
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
  type Conflict,
  type ConflictRule,
  failOnConflict,
  replayOnConflict,
  type ReplayRule,
  skipOnConflict,
} from "./handlers/idempotency/conflict.ts";
export { byMessageKey, idempotency, idempotency as cache, type IdempotencyOptions } from "./handlers/idempotency/idempotency.ts";
export { type Condition, matchAll, matchAny, matchNone } from "./handlers/joiner/condition.ts";
export { type EachJoinerOptions, joiner, type JoinerOptions, type JoinWindow } from "./handlers/joiner/joiner.ts";
export type { JoinNext, JoinTimeout } from "./handlers/joiner/join.ts";
export type { RepeatPolicy } from "./handlers/joiner/members.ts";
export type { JoinFailure } from "./handlers/joiner/sweep.ts";
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
export { startSweeping, type Sweeping, type SweepingOptions } from "./sweeping.ts";
