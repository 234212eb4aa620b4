import type { ClaimRecord } from "../../src/claims/claim-record.ts";
import type { Message } from "../../src/message.ts";
import type { PersistOptions } from "../../src/stores/event-store.ts";
import type { Watcher } from "./watched-store.ts";

import { outcomeOf } from "../../src/handlers/joiner/outcome.ts";
import { claimOf, deadLetterScope, isClaimEntry } from "./call-sites.ts";

interface Stored {
  readonly record: ClaimRecord;
  readonly storedAt: number;
  /** When its owner got it. */
  readonly startedAt: number;
}

export interface ClaimWatcherOptions {
  readonly now: () => number;
  /** Whether leases are read on the store's clock, so that their end can be judged exactly. */
  readonly storeClock: boolean;
  readonly report: (violation: string) => void;
  /** Told of the key of each dead letter. */
  readonly onDeadLetter: (message: Message) => void;
}

/** Knows what may follow what in a claim, apart from the code under test, and reports every write that breaks it. */
export class ClaimWatcher implements Watcher {
  readonly #options: ClaimWatcherOptions;
  readonly #claims = new Map<string, Stored>();
  readonly #fences = new Map<string, number>();
  readonly #completions = new Map<string, number>();

  constructor(options: ClaimWatcherOptions) {
    this.#options = options;
  }

  /** Whether a newer owner than the one with this fence has had the claim for some time. */
  isStale(scope: string, key: string, source: string, fence: number): boolean {
    const stored = this.#claims.get(place(scope, key, source));
    return stored !== undefined && stored.record.fence > fence && this.#options.now() - stored.startedAt > 50;
  }

  /** How often a completion was recorded there. */
  completions(scope: string, key: string, source: string): number {
    return this.#completions.get(place(scope, key, source)) ?? 0;
  }

  stored(scope: string, key: string, source: string): ClaimRecord | undefined {
    return this.#claims.get(place(scope, key, source))?.record;
  }

  persisted(scope: string, message: Message, options: PersistOptions): void {
    if (scope === deadLetterScope) return this.#options.onDeadLetter(message);
    if (!isClaimEntry(message.source)) return;
    const at = place(scope, message.key, message.source);
    const previous = options.expected === "absent" ? undefined : this.#claims.get(at);
    const record = claimOf(message);
    const wrong = previous === undefined ? wrongBeginning(record) : this.#wrongChange(previous, record);
    const fence = this.#fences.get(at) ?? -Infinity;
    const isStart = record.token.endsWith("/0");
    if (wrong !== undefined) this.#report(at, wrong, previous?.record, record);
    if (record.fence < fence) this.#report(at, `a write under fence ${record.fence} landed after fence ${fence}`, previous?.record, record);
    if (isStart && record.fence <= fence) this.#report(at, "a fence was given a second time", previous?.record, record);
    this.#fences.set(at, Math.max(fence, record.fence));
    if (record.phase === "done" && previous?.record.phase !== "done") this.#completions.set(at, (this.#completions.get(at) ?? 0) + 1);
    const now = this.#options.now();
    this.#claims.set(at, { record, storedAt: now, startedAt: isStart ? now : (previous?.startedAt ?? now) });
  }

  removed(scope: string, key: string, source: string): void {
    const at = place(scope, key, source);
    const previous = this.#claims.get(at)?.record;
    this.#claims.delete(at);
    if (previous === undefined || previous.phase === "done" || (previous.phase === "failed" && previous.reported)) return;
    if (previous.phase === "released" && previous.data === undefined) return;
    this.#options.report(`${at}: a claim was removed while it was ${previous.phase}`);
  }

  #wrongChange(previous: Stored, next: ClaimRecord): string | undefined {
    const { record: from } = previous;
    if (from.phase === "done" || from.phase === "failed")
      return next.phase === from.phase ? changedData(from, next) : `it had ended and is ${next.phase}`;
    if (next.owner === from.owner) return next.fence === from.fence ? changedData(from, next) : "an owner changed its fence";
    if (from.phase === "released") return changedData(from, next);
    if (this.#options.storeClock && this.#options.now() - previous.storedAt < from.lease)
      return "it was taken from an owner whose lease held";
    return changedData(from, next);
  }

  #report(at: string, wrong: string, previous: ClaimRecord | undefined, next: ClaimRecord): void {
    this.#options.report(`${at}: ${wrong} (${shown(previous)} -> ${shown(next)})`);
  }
}

function wrongBeginning({ phase, token }: ClaimRecord): string | undefined {
  if (!token.endsWith("/0")) return "an owner wrote over nothing";
  return phase === "running" || phase === "sealing" ? undefined : `it began as ${phase}`;
}

/** What is decided once never changes. */
function changedData(from: ClaimRecord, to: ClaimRecord): string | undefined {
  const [before, after] = [outcomeOf(from), outcomeOf(to)];
  if (before === undefined) return undefined;
  if (after === undefined) return "its outcome was dropped";
  if (JSON.stringify([before.kind, before.members]) !== JSON.stringify([after.kind, after.members])) return "its members changed";
  if (after.composed === undefined) return to.phase === "done" ? undefined : "what it emits was dropped";
  return JSON.stringify(before.composed) === JSON.stringify(after.composed) ? undefined : "what it emits changed";
}

function shown(record: ClaimRecord | undefined): string {
  return record === undefined ? "absent" : `${record.phase} ${record.token} fence ${record.fence}`;
}

function place(scope: string, key: string, source: string): string {
  return `${scope} ${key} ${source}`;
}
