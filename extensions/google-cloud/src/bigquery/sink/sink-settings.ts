import { type Clock, invalidOption, systemClock } from "event-driver";

import type { BigQuerySinkOptions, SinkBatch, SinkBuffer, SinkRetry } from "./sink-options.ts";

/** The options that steer the sending of rows, with every default in its place. */
export interface SinkSettings {
  readonly batch: Defaulted<SinkBatch>;
  readonly buffer: Defaulted<SinkBuffer>;
  readonly retry: Defaulted<SinkRetry>;
  readonly maxInFlight: number;
  readonly timeout: number;
  readonly closeTimeout: number;
  readonly clock: Clock;
  readonly random: () => number;
}

/** All options but what a row is made of. */
export type SendingOptions = Omit<BigQuerySinkOptions, "toRow">;

/** The same with no option left out. */
type Defaulted<Options> = { readonly [Name in keyof Options]-?: NonNullable<Options[Name]> };

/** The most bytes of rows in one request: BigQuery refuses 10 MB, and the rest is for what goes with the rows. */
export const largestBatch: number = 9_500_000;

const factory = "bigQuerySink";

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function sinkSettings(options: SendingOptions): SinkSettings {
  const { timeout = 30_000, closeTimeout = 30_000, clock = systemClock, random = Math.random } = options;
  requireTarget(options);
  requireApi(options);
  if (!(timeout > 0)) throw invalidOption(factory, "timeout", timeout, "milliseconds above 0");
  if (!(closeTimeout >= 0)) throw invalidOption(factory, "closeTimeout", closeTimeout, "milliseconds from 0");
  const batch = batchSettings(options.batch ?? {});
  return {
    batch,
    buffer: bufferSettings(options.buffer ?? {}, batch),
    retry: retrySettings(options.retry ?? {}),
    maxInFlight: inFlightLimit(options),
    timeout,
    closeTimeout,
    clock,
    random,
  };
}

function requireTarget({ dataset, table }: SendingOptions): void {
  if (!/^\w{1,1024}$/.test(dataset)) throw invalidOption(factory, "dataset", dataset, "letters, digits and underscores");
  if (!/^[\p{L}\p{M}\p{N}\p{Pc}\p{Pd} ]{1,1024}$/u.test(table)) {
    throw invalidOption(factory, "table", table, "a table's name: letters, digits, underscores, dashes and spaces");
  }
}

function requireApi({ api = "storage-write", delivery = "at-least-once", ...given }: SendingOptions): void {
  if (api !== "storage-write" && api !== "insertAll") throw invalidOption(factory, "api", api, '"storage-write" or "insertAll"');
  if (delivery !== "at-least-once" && delivery !== "exactly-once") {
    throw invalidOption(factory, "delivery", delivery, '"at-least-once" or "exactly-once"');
  }
  if (api === "insertAll" && delivery === "exactly-once") {
    throw invalidOption(factory, "delivery", delivery, '"at-least-once" with api "insertAll", which knows no offsets');
  }
  if (given.apiEndpoint !== undefined && !/^https?:$/.test(URL.parse(given.apiEndpoint)?.protocol ?? "")) {
    throw invalidOption(factory, "apiEndpoint", given.apiEndpoint, "a URL that begins with http: or https:");
  }
  if (api === "insertAll" && given.writeClient !== undefined) {
    throw invalidOption(factory, "writeClient", given.writeClient, 'bigquery with api "insertAll"');
  }
  if (api === "storage-write" && given.bigquery !== undefined) {
    throw invalidOption(factory, "bigquery", given.bigquery, 'writeClient with api "storage-write"');
  }
}

function batchSettings({ rows = 500, bytes = 1_000_000, wait = 100 }: SinkBatch): SinkSettings["batch"] {
  requireCount("batch.rows", rows, 50_000);
  requireCount("batch.bytes", bytes, largestBatch);
  if (!(wait >= 0 && wait < Infinity)) throw invalidOption(factory, "batch.wait", wait, "milliseconds from 0");
  return { rows, bytes, wait };
}

function bufferSettings({ rows = 10_000, bytes = 50_000_000 }: SinkBuffer, batch: SinkSettings["batch"]): SinkSettings["buffer"] {
  requireCount("buffer.rows", rows);
  requireCount("buffer.bytes", bytes);
  if (bytes < batch.bytes) throw invalidOption(factory, "buffer.bytes", bytes, `at least batch.bytes (${batch.bytes})`);
  return { rows, bytes };
}

function retrySettings({ maxAttempts = 6, baseDelay = 200, maxDelay = 10_000 }: SinkRetry): SinkSettings["retry"] {
  requireCount("retry.maxAttempts", maxAttempts);
  if (!(baseDelay >= 0)) throw invalidOption(factory, "retry.baseDelay", baseDelay, "milliseconds from 0");
  if (!(maxDelay >= baseDelay)) throw invalidOption(factory, "retry.maxDelay", maxDelay, `milliseconds from baseDelay (${baseDelay})`);
  return { maxAttempts, baseDelay, maxDelay };
}

function inFlightLimit({ maxInFlight, delivery }: SendingOptions): number {
  if (delivery !== "exactly-once") {
    requireCount("maxInFlight", maxInFlight ?? 4);
    return maxInFlight ?? 4;
  }
  // A request that fails makes those behind it fail too, for their offsets would leave a gap.
  if ((maxInFlight ?? 1) !== 1) throw invalidOption(factory, "maxInFlight", maxInFlight, '1 with delivery "exactly-once"');
  return 1;
}

function requireCount(option: string, given: number, most: number = Number.MAX_SAFE_INTEGER): void {
  if (Number.isInteger(given) && given >= 1 && given <= most) return;
  throw invalidOption(
    factory,
    option,
    given,
    most === Number.MAX_SAFE_INTEGER ? "a whole number from 1" : `a whole number from 1 to ${most}`,
  );
}
