export {
  type DeadLetterReference,
  type DeadLetters,
  deadLetters,
  type ListDeadLettersOptions,
  type ReplayOutcome,
} from "./dead-letters.ts";
export type { DeadLetterCondition, DeadLetterFilter } from "./filter.ts";
export { type ParkedKey, type ParkedKeys, parkedKeys, type ParkedKeysOptions } from "./parked-keys.ts";
export type { RedriveStream, RedriveTarget } from "./redrive.ts";
export type { FailedRedrive, RedriveOptions, RedriveReport } from "./redrive-options.ts";
export type { DeadLetter, Failure as DeadLetterFailure } from "../handlers/dead-letter/entry.ts";
