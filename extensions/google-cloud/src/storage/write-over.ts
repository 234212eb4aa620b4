import { type Clock, EventDriverError, sleep } from "event-driver";

import { type Bucket, type Generation, noGeneration } from "./bucket.ts";

/** Writes an object over a generation; resolves to the new one, or to `undefined` on a conflict. */
export type Write = (over: Generation) => Promise<Generation | undefined>;

export interface Contention {
  readonly bucket: Bucket;
  readonly clock: Clock;
  readonly random: () => number;
}

/** How often an unconditional write or removal meets another one before it fails. */
export const mostAttempts = 100;

/** Milliseconds between two of them. */
const longestPause = 500;

/**
 * Writes an object over whatever is there, which no request does safely by itself: one that may be sent again has to say what it replaces.
 *
 * @throws EventDriverError `ERR_STORE_UNAVAILABLE`
 */
export async function writeOver(
  { bucket, clock, random }: Contention,
  name: string,
  write: Write,
  signal: AbortSignal | undefined,
): Promise<Generation> {
  let over = noGeneration;
  for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
    const generation = await write(over);
    if (generation !== undefined) return generation;
    await sleep(clock, attempt === 0 ? 0 : random() * Math.min(2 ** attempt, longestPause), signal);
    over = (await bucket.head(name, signal))?.generation ?? noGeneration;
  }
  throw contended(name);
}

/** The failure of a call that others were always faster than. */
export function contended(name: string): EventDriverError {
  return new EventDriverError("ERR_STORE_UNAVAILABLE", {
    message: `gcsEventStore: object ${JSON.stringify(name)} was written by others ${mostAttempts} times in a row; try again`,
    retryable: true,
  });
}
