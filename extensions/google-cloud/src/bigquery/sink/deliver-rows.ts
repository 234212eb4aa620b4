import { type Clock, sleep } from "event-driver";

import type { Answer, EncodedRow, RowRefusal } from "./row-writer.ts";
import type { SinkSettings } from "./sink-settings.ts";

/** A row that waits for its outcome. Whoever calls one of these first decides. */
export interface PendingRow<Row extends EncodedRow> {
  readonly row: Row;
  readonly stored: () => void;
  /** It will never be stored as it is. */
  readonly refused: (problem: string) => void;
  /** It is not known to be stored, and may be stored later. */
  readonly failed: (problem: string, attempts: number, cause: unknown) => void;
}

export interface Delivery<Row extends EncodedRow> {
  readonly append: (rows: readonly Row[]) => Promise<Answer>;
  readonly retry: SinkSettings["retry"];
  readonly clock: Clock;
  readonly random: () => number;
  /** Aborts when nothing is to be sent again. */
  readonly signal: AbortSignal;
}

/**
 * Sends rows until each has its outcome. Never rejects.
 *
 * A request that BigQuery cannot read is cut in halves, until the row that spoils it is alone: its neighbours must not fail with it each time that they
 * are delivered.
 */
export async function deliverRows<Row extends EncodedRow>(rows: readonly PendingRow<Row>[], delivery: Delivery<Row>): Promise<void> {
  const request = rows.map(({ row }) => row);
  for (let attempt = 1; ; attempt += 1) {
    const answer = await delivery.append(request);
    if (answer.status === "stored") return settleStored(rows, answer.refused);
    if (answer.status === "refused") return deliverOthers(rows, answer.refused, delivery);
    if (answer.status === "unreadable" && rows.length > 1) return deliverHalves(rows, delivery);
    const last = answer.status === "unreadable" || !answer.passing || attempt === delivery.retry.maxAttempts;
    if (last || !(await pause(attempt, delivery))) return fail(rows, answer.problem, attempt, answer.cause);
  }
}

function settleStored<Row extends EncodedRow>(rows: readonly PendingRow<Row>[], refused: readonly RowRefusal[]): void {
  for (const { index, problem } of refused) rows[index]?.refused(problem);
  for (const row of rows) row.stored();
}

async function deliverOthers<Row extends EncodedRow>(
  rows: readonly PendingRow<Row>[],
  refused: readonly RowRefusal[],
  delivery: Delivery<Row>,
): Promise<void> {
  const places = new Set(refused.map(({ index }) => index));
  const others = rows.filter((_row, index) => !places.has(index));
  if (others.length === rows.length) return fail(rows, "refused rows that were not sent", 1, undefined);
  for (const { index, problem } of refused) rows[index]?.refused(problem);
  if (others.length > 0) await deliverRows(others, delivery);
}

/** One after the other, for a writer may allow no two requests at once. */
async function deliverHalves<Row extends EncodedRow>(rows: readonly PendingRow<Row>[], delivery: Delivery<Row>): Promise<void> {
  const middle = Math.ceil(rows.length / 2);
  await deliverRows(rows.slice(0, middle), delivery);
  await deliverRows(rows.slice(middle), delivery);
}

function fail<Row extends EncodedRow>(rows: readonly PendingRow<Row>[], problem: string, attempts: number, cause: unknown): void {
  for (const row of rows) row.failed(problem, attempts, cause);
}

/** Resolves to whether to go on. */
async function pause<Row extends EncodedRow>(attempt: number, { retry, clock, random, signal }: Delivery<Row>): Promise<boolean> {
  const delay = random() * Math.min(retry.maxDelay, retry.baseDelay * 2 ** (attempt - 1));
  return sleep(clock, delay, signal).then(
    () => true,
    () => false,
  );
}
