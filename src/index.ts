export { fromBase64, toBase64 } from "./base64.ts";
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
  invalidOption,
  isEventDriverError,
  isRetryable,
  isRevisionConflict,
  quote,
  RetryAfterError,
  RevisionConflictError,
  StageError,
  TerminalError,
  TimeoutError,
} from "./errors.ts";
export { concurrency, type ConcurrencyOptions } from "./handlers/concurrency.ts";
export { deadLetter, type DeadLetterOptions } from "./handlers/dead-letter/dead-letter.ts";
export { decode, type DecodedMessage, type DecodeOptions } from "./handlers/decode/decode.ts";
export { encode } from "./handlers/decode/encode.ts";
export { filter } from "./handlers/filter.ts";
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
export { retry, type RetryOptions } from "./handlers/retry.ts";
export { tap, type TapOptions } from "./handlers/tap.ts";
export { timeout, type TimeoutOptions } from "./handlers/timeout.ts";
export { eraseContentFromSources } from "./handlers/transformer/erase-content-from-sources.ts";
export { identity } from "./handlers/transformer/identity.ts";
export { mapAttributes } from "./handlers/transformer/map-attributes.ts";
export { mapContent } from "./handlers/transformer/map-content.ts";
export { renameSources } from "./handlers/transformer/rename-sources.ts";
export { type Rule, transformer } from "./handlers/transformer/transformer.ts";
export { isJsonObject, type JsonMember, type JsonScan, scanJson } from "./json.ts";
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
export { replaying } from "./pipeline/replaying.ts";
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
export { memoryEventStore, type MemoryEventStoreOptions } from "./stores/memory-event-store.ts";
