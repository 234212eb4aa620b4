import type { Clock, Logger } from "event-driver";
import type { GroupCommit } from "./group-commit.ts";

export interface ExpirySettings {
  readonly file: string;
  readonly commits: GroupCommit;
  /** Its timers should not hold the process open. */
  readonly clock: Clock;
  /** Milliseconds. */
  readonly interval: number;
  readonly logger: Logger;
}

/** Rows removed in one transaction: about a millisecond of work, and other writers get their turn between two. */
const stepLimit = 100;

/** Removes expired entries in the background, in small steps, until the function it returns is called. A step that fails is logged and made again later. */
export function removeExpiredRegularly({ file, commits, clock, interval, logger }: ExpirySettings): () => void {
  let stopped = false;
  let cancel: () => void;

  const round = async (): Promise<void> => {
    try {
      let removed = stepLimit;
      while (removed === stepLimit && !stopped) removed = await removeSome(commits);
    } catch (error) {
      if (!stopped) logger.warn({ error, file }, "expired entries could not be removed; the next round tries again");
    }
    if (!stopped) cancel = clock.after(interval, start);
  };
  const start = (): void => void round();

  cancel = clock.after(interval, start);
  return () => {
    stopped = true;
    cancel();
  };
}

async function removeSome(commits: GroupCommit): Promise<number> {
  // The read first: where nothing has expired, the write lock is left to others.
  const any = await commits.read(undefined, (entries, now) => entries.hasExpired(now));
  return any ? commits.write(undefined, (entries, now) => entries.removeExpired(now, stepLimit)) : 0;
}
