export {
  type DeadLetterStreamOptions,
  deadLetterStream,
  type ReadLettersOptions,
  type RedriveStreamOptions,
  type StreamLetters,
} from "./dead-letter-stream.ts";
export { type DeadLetterReference, type DeadLetters, deadLetters, type ListDeadLettersOptions } from "./dead-letters.ts";
export type { DeadLetterCondition, DeadLetterFilter } from "./filter.ts";
export { type ParkedKey, type ParkedKeys, parkedKeys, parkedKeysBySubscription, type ParkedKeysOptions } from "./parked-keys.ts";
export type { ParkingPlace } from "../pipeline/key-parking.ts";
export type { FoundLetter } from "./read-stream.ts";
export type { RedriveStream, RedriveTarget, ReplayOutcome } from "./redrive.ts";
export type { FailedRedrive, RedriveOptions, RedriveReport } from "./redrive-options.ts";
export type { DeadLetter, Failure as DeadLetterFailure } from "../handlers/dead-letter/entry.ts";
