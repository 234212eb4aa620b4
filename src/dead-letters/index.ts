export {
  type DeadLetterReference,
  type DeadLetters,
  deadLetters,
  type ListDeadLettersOptions,
  type ReplayOutcome,
} from "./dead-letters.ts";
export type { DeadLetter, Failure as DeadLetterFailure } from "../handlers/dead-letter/entry.ts";
