import type { DatabaseSync } from "node:sqlite";

// Bound when the module is loaded, so that a test's fake timers do not stop the store.
import { setImmediate } from "node:timers";
import { type Clock, EventDriverError, sleep } from "event-driver";

import { OpenFiles } from "./database.ts";
import { Entries } from "./entries.ts";
import { failure, isBusy, isOfOneOperation, storeFailure } from "./failures.ts";

export interface GroupCommitSettings {
  readonly file: string;
  /** Opens the database, or throws SQLite's busy error at once. */
  readonly open: () => DatabaseSync;
  readonly busyTimeout: number;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Sharing a commit pays less and less beyond this many writes, and meanwhile the event loop stands still: so many take about a millisecond. */
const groupLimit = 256;

/** Milliseconds. Other processes hold the lock for one commit; who waits longer between two attempts only loses the race for the next gap. */
const longestPause = 10;

interface QueuedRead {
  readonly signal: AbortSignal | undefined;
  /** Reads, and settles the caller's promise. */
  readonly execute: (entries: Entries, now: number) => void;
  readonly reject: (reason: unknown) => void;
}

interface QueuedWrite {
  readonly signal: AbortSignal | undefined;
  /** Does the work inside the open transaction; what it returns settles the caller's promise once that is committed. */
  readonly execute: (entries: Entries, now: number) => () => void;
  readonly reject: (reason: unknown) => void;
  readonly answer: Promise<unknown>;
  /** Set when it has met a lock: when to give up, and how to stop listening to the signal. */
  wait?: { readonly until: number; readonly stopListening: () => void };
}

interface Opened {
  readonly entries: Entries;
  readonly files: OpenFiles;
}

/**
 * Runs reads and writes in groups. Reads that are asked for together share one snapshot, for taking SQLite's locks costs more than reading.
 * Writes that are queued share one transaction, and each is answered after its commit has returned.
 *
 * No lock is ever waited for inside SQLite, which would block the event loop: an attempt fails at once, and is made again after a short
 * random pause until the operation's time is up. Meanwhile reads go on, and further writes join the group.
 */
export class GroupCommit {
  readonly #settings: GroupCommitSettings;
  readonly #slowReads: Set<Promise<unknown>> = new Set();
  readonly #reads: QueuedRead[] = [];
  #queue: QueuedWrite[] = [];
  #flushIsDue = false;
  #attempts = 0;
  #opened: Opened | undefined;
  #closing: Promise<void> | undefined;

  constructor(settings: GroupCommitSettings) {
    this.#settings = settings;
  }

  /** Opens the database now instead of with the first operation. A lock held by another process leaves it to that one. */
  open(): void {
    try {
      this.#open();
    } catch (error) {
      if (!isBusy(error)) throw storeFailure(this.#settings.file, error);
    }
  }

  /**
   * Reads within the same turn of the event loop, outside of any write transaction: it neither waits for a commit nor takes the write lock.
   * That also makes for the largest groups: what depends on the answer can join the group that is being gathered.
   */
  read<Value>(signal: AbortSignal | undefined, run: (entries: Entries, now: number) => Value): Promise<Value> {
    if (this.#closing !== undefined) return Promise.reject(closed(this.#settings.file));
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { promise: answer, resolve, reject } = Promise.withResolvers<Value>();
    this.#reads.push({ signal, execute: (entries, now) => resolve(run(entries, now)), reject });
    if (this.#reads.length === 1) this.#readSoon();
    return answer;
  }

  /** Queues a write for the next group. */
  write<Value>(signal: AbortSignal | undefined, run: (entries: Entries, now: number) => Value): Promise<Value> {
    if (this.#closing !== undefined) return Promise.reject(closed(this.#settings.file));
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { promise: answer, resolve, reject } = Promise.withResolvers<Value>();
    const execute = (entries: Entries, now: number): (() => void) => {
      const value = run(entries, now);
      return () => resolve(value);
    };
    this.#queue.push({ signal, execute, reject, answer });
    if (!this.#flushIsDue) this.#flushSoon();
    return answer;
  }

  /** Answers what has been queued, then closes the database. */
  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  /** After whatever was about to run: those who were answered by one commit mostly read next, and all of them share a snapshot then. */
  #readSoon(): void {
    void Promise.resolve().then(() => this.#readQueued());
  }

  /** The snapshot is taken after the last of these reads was asked for, so each finds what had been written before. */
  #readQueued(): void {
    const reads = this.#reads.splice(0);
    if (reads.length === 0) return;
    try {
      const { entries, now } = this.#readable();
      const readAll = (): void => reads.forEach((read) => this.#readOne(read, entries, now));
      // For one alone, a transaction would only be two more statements.
      if (reads.length === 1) readAll();
      else entries.inOneSnapshot(readAll);
    } catch (error) {
      for (const read of reads) this.#readFailed(read, error);
    }
  }

  #readable(): { readonly entries: Entries; readonly now: number } {
    const now = this.#settings.clock.now();
    const { entries, files } = this.#connected();
    files.verifyNowAndThen(now);
    return { entries, now };
  }

  #readOne(read: QueuedRead, entries: Entries, now: number): void {
    if (read.signal?.aborted) return read.reject(read.signal.reason);
    try {
      read.execute(entries, now);
    } catch (error) {
      this.#readFailed(read, error);
    }
  }

  #readFailed(read: QueuedRead, error: unknown): void {
    if (!isBusy(error)) return read.reject(storeFailure(this.#settings.file, error));
    const slow = this.#readLater(read).catch(read.reject);
    this.#slowReads.add(slow);
    void slow.then(() => this.#slowReads.delete(slow));
  }

  /** In this mode a read meets a lock only while another process opens, recovers or closes the database. */
  async #readLater({ signal, execute }: QueuedRead): Promise<void> {
    const { file, clock, busyTimeout } = this.#settings;
    const until = clock.now() + busyTimeout;
    for (let attempt = 1; ; attempt += 1) {
      await sleep(clock, this.#pause(attempt), signal);
      try {
        const { entries, now } = this.#readable();
        return execute(entries, now);
      } catch (error) {
        if (!isBusy(error) || clock.now() >= until) throw storeFailure(file, error);
      }
    }
  }

  #flushSoon(): void {
    this.#flushIsDue = true;
    // Not a microtask: requests that arrive together are each a callback of their own, with its microtasks run before the next. An immediate
    // comes after all of them, and still before the event loop would wait for anything.
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushIsDue = false;
    if (this.#queue.length === 0) return;
    let opened: Opened;
    try {
      opened = this.#connected();
      opened.entries.begin();
    } catch (error) {
      return isBusy(error) ? this.#waitForLock(error) : this.#rejectQueued(error);
    }
    this.#attempts = 0;
    this.#runGroup(this.#queue.splice(0, groupLimit), opened);
    if (this.#queue.length > 0) this.#flushSoon();
  }

  #runGroup(group: readonly QueuedWrite[], { entries, files }: Opened): void {
    const settlements: (() => void)[] = [];
    try {
      const now = this.#settings.clock.now();
      for (const write of group) {
        write.wait?.stopListening();
        settlements.push(this.#execute(write, entries, now));
      }
      entries.commit();
      // After the commit and before the answers: no write is acknowledged that went to a file which nobody will open again.
      files.verify(now);
    } catch (error) {
      entries.rollBack();
      const reason = storeFailure(this.#settings.file, error);
      for (const write of group) write.reject(reason);
      return;
    }
    for (const settle of settlements) settle();
  }

  #execute(write: QueuedWrite, entries: Entries, now: number): () => void {
    if (write.signal?.aborted) return () => write.reject(write.signal?.reason);
    try {
      return write.execute(entries, now);
    } catch (error) {
      // A conflict, or values that cannot be stored, concern one operation: SQLite has undone that statement alone.
      if (!entries.inTransaction || !isOfOneOperation(error)) throw error;
      return () => write.reject(storeFailure(this.#settings.file, error));
    }
  }

  #waitForLock(error: unknown): void {
    const { file, clock, busyTimeout } = this.#settings;
    const now = clock.now();
    this.#queue = this.#queue.filter((write) => {
      write.wait ??= { until: now + busyTimeout, stopListening: this.#listen(write) };
      if (now < write.wait.until && !write.signal?.aborted) return true;
      write.wait.stopListening();
      write.reject(write.signal?.aborted ? write.signal.reason : storeFailure(file, error));
      return false;
    });
    if (this.#queue.length === 0) return;
    this.#flushIsDue = true;
    this.#attempts += 1;
    clock.after(this.#pause(this.#attempts), () => this.#flush());
  }

  /** Only a write that has to wait listens; otherwise it is done within the same turn of the event loop, and a listener would cost as much as the write. */
  #listen(write: QueuedWrite): () => void {
    const { signal } = write;
    if (signal === undefined) return () => {};
    const onAbort = (): void => {
      this.#queue = this.#queue.filter((queued) => queued !== write);
      write.reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    return () => signal.removeEventListener("abort", onAbort);
  }

  #pause(attempt: number): number {
    return this.#settings.random() * Math.min(longestPause, 2 ** attempt);
  }

  #rejectQueued(error: unknown): void {
    const reason = storeFailure(this.#settings.file, error);
    for (const write of this.#queue.splice(0)) {
      write.wait?.stopListening();
      write.reject(reason);
    }
  }

  #connected(): Opened {
    if (this.#opened !== undefined) return this.#opened;
    try {
      return this.#open();
    } catch (error) {
      if (isBusy(error)) throw error;
      // What is wrong with the file is not the message's fault, so the operation may be tried again even where opening said to give up.
      throw failure("ERR_STORE_UNAVAILABLE", this.#settings.file, "could not be opened, see the cause", error);
    }
  }

  #open(): Opened {
    const database = this.#settings.open();
    try {
      this.#opened = { entries: new Entries(database), files: new OpenFiles(this.#settings.file) };
      return this.#opened;
    } catch (error) {
      // Reading the schema may meet a lock too; then it is opened anew.
      database.close();
      throw error;
    }
  }

  async #finish(): Promise<void> {
    this.#readQueued();
    await Promise.allSettled([...this.#slowReads, ...this.#queue.map((write) => write.answer)]);
    try {
      this.#opened?.entries.close();
    } catch (error) {
      throw storeFailure(this.#settings.file, error);
    }
  }
}

function closed(file: string): EventDriverError {
  return new EventDriverError("ERR_STORE_CLOSED", {
    message: `sqliteEventStore: the store on ${JSON.stringify(file)} is closed; finish the work before closing it`,
    retryable: true,
  });
}
