import type { DeadLetter } from "../handlers/dead-letter/entry.ts";
import type { Connection } from "../streams/connection.ts";
import type { DeadLetterCondition } from "./filter.ts";
import type { ParkedKeys } from "./parked-keys.ts";

import { type Clock, systemClock } from "../clock.ts";
import { EventDriverError, invalidOption, quote } from "../errors.ts";
import { identityOf } from "../message.ts";
import { conditionOf } from "./filter.ts";
import { type FoundLetter, readStream } from "./read-stream.ts";
import { type RedriveOptions, type RedriveReport, RedriveRun } from "./redrive-options.ts";
import { asRedriven, withoutTicket } from "./redriven.ts";

export interface DeadLetterStreamOptions {
  /** The dead-letter stream. */
  readonly stream: string;
  /**
   * Under which name it is read, and remembered what was removed. Take the same each time.
   * @default the stream
   */
  readonly name?: string;
  /**
   * Milliseconds without anything new after which the end of the stream is reached.
   * @default 2_000
   */
  readonly idle?: number;
  /**
   * How many dead letters that stay may be held while it is read. Behind more, it sees nothing.
   * @default 1_000
   */
  readonly window?: number;
  /**
   * The `parkKey` of the subscription, where it has one: what is removed for good then lets go what waits behind it.
   * @default none
   */
  readonly parked?: Pick<ParkedKeys, "skip">;
  /** @default systemClock */
  readonly clock?: Clock;
}

export interface ReadLettersOptions {
  /** @default all */
  readonly where?: DeadLetterCondition;
  readonly signal?: AbortSignal | undefined;
}

export interface RedriveStreamOptions extends RedriveOptions {
  /**
   * The stream into which they go.
   * @default the one that each was read from when it failed
   */
  readonly to?: string;
}

/** The dead letters in a stream, for operators. */
export interface StreamLetters {
  /**
   * All of them, in the order of the stream, as long as the loop lasts. Reading removes nothing; `remove` does, for good.
   *
   * Do not read in two places at once: what one of them holds the other does not see.
   */
  read(options?: ReadLettersOptions): AsyncIterable<FoundLetter>;
  /**
   * Publishes them into the stream that they came from, and removes each when the broker has it.
   *
   * Interrupted in between, a message is published again by the next redrive, with the same identity and `dlredrive`: a pipeline with `idempotency` runs it
   * once. What fails again while it lasts is left for the next one.
   *
   * @throws EventDriverError `ERR_INVALID_OPTION`, and what `pull` rejects with
   */
  redrive(options?: RedriveStreamOptions): Promise<RedriveReport>;
}

/**
 * The messages that a subscription has put into its dead-letter stream.
 *
 * Use it in a tool for operators. It shows the content of messages, so show it only to those who may see that.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example
 * const letters = deadLetterStream(connection, { stream: "orders-failed" });
 * const { redriven, failed } = await letters.redrive({ where: { code: "ERR_TERMINAL" }, rate: 50 });
 */
export function deadLetterStream(connection: Connection, options: DeadLetterStreamOptions): StreamLetters {
  if (typeof connection?.pull !== "function") throw invalidOption("deadLetterStream", "connection", connection, "a Connection");
  const { parked, ...settings } = withDefaults(options);

  async function* read({ where, signal }: ReadLettersOptions = {}): AsyncGenerator<FoundLetter> {
    const selects = conditionOf("deadLetterStream.read", where);
    for await (const { letter, remove } of readStream(connection, { ...settings, signal })) {
      if (selects(letter)) yield { letter, remove: () => removeForGood(letter, remove) };
    }
  }

  const removeForGood = async ({ message, ticket }: DeadLetter, remove: () => Promise<void>): Promise<void> => {
    if (ticket !== undefined) await parked?.skip(message.key, identityOf(message));
    await remove();
  };

  const redrive = async ({ to, ...given }: RedriveStreamOptions = {}): Promise<RedriveReport> => {
    const run = new RedriveRun("deadLetterStream.redrive", { clock: settings.clock, ...given });
    const wholeKeys = new Set<string>();
    const done = new Set<string>();
    for await (const { letter, remove } of readStream(connection, { ...settings, signal: run.signal })) {
      const { message, ticket } = letter;
      const identity = identityOf(message);
      const isSelected = run.selects(letter) || (ticket !== undefined && wholeKeys.has(message.key));
      // What was published and is here again has failed again.
      if (!isSelected || done.has(identity)) continue;
      if (run.dryRun) run.count();
      else if (await run.mayGoOn()) await move(letter, remove, to, run);
      if (run.isCut) break;
      done.add(identity);
      if (ticket !== undefined) wholeKeys.add(message.key);
    }
    return run.report();
  };

  const move = async (letter: DeadLetter, remove: () => Promise<void>, to: string | undefined, run: RedriveRun): Promise<void> => {
    const { message } = letter;
    try {
      const target = to ?? message.attributes["dlstream"];
      if (target === undefined) throw fromNowhere(message.id);
      const isBack = target === message.attributes["dlstream"];
      // In another stream it comes for the first time, whatever waits for it here.
      await connection.publish(target, isBack ? asRedriven(letter) : withoutTicket(asRedriven(letter)), { signal: run.signal });
      await remove();
      run.redriven += 1;
    } catch (error) {
      run.fail(message, error);
    }
  };

  return { read, redrive };
}

function withDefaults(
  options: DeadLetterStreamOptions,
): Required<Omit<DeadLetterStreamOptions, "parked">> & Pick<DeadLetterStreamOptions, "parked"> {
  const { stream, name = stream, idle = 2_000, window = 1_000, parked, clock = systemClock } = options;
  for (const [option, given] of Object.entries({ stream, name })) {
    if (typeof given !== "string" || given === "") throw invalidOption("deadLetterStream", option, given, "a string that is not empty");
  }
  if (!(idle > 0 && idle < Infinity)) throw invalidOption("deadLetterStream", "idle", idle, "milliseconds above 0");
  if (!Number.isInteger(window) || window < 1) throw invalidOption("deadLetterStream", "window", window, "a whole number from 1");
  return { stream, name, idle, window, clock, ...(parked !== undefined && { parked }) };
}

function fromNowhere(id: string): EventDriverError {
  return new EventDriverError("ERR_INVALID_MESSAGE", {
    message: `dead letter ${quote(id)} does not say from which stream it came; say with "to" where it goes`,
    retryable: false,
  });
}
