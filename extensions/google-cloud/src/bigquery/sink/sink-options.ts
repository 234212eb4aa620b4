import type { BigQuery } from "@google-cloud/bigquery";
import type { BigQueryWriteClient } from "@google-cloud/bigquery-storage";
import type { AnyMessage, Clock, Message } from "event-driver";

/**
 * What a column can be given. Which of these fits depends on the column's type, which is read from the table:
 *
 * - STRING, GEOGRAPHY, INTERVAL, TIME: text
 * - INT64: a bigint, or a whole number that JavaScript holds exactly
 * - NUMERIC, BIGNUMERIC: decimal text, or any of what INT64 and FLOAT64 take
 * - FLOAT64: a number
 * - BOOL: a boolean
 * - BYTES: a Uint8Array
 * - TIMESTAMP: a Date, or RFC 3339 text, of which microseconds are kept
 * - DATE, DATETIME: text, or a Date, which is taken in UTC
 * - JSON: any value that JSON can hold; text is taken for JSON text
 * - RECORD, RANGE: an object by column names
 * - REPEATED: an array of any of the above
 *
 * `undefined` and `null` leave the column to its default, or NULL.
 */
export type TableValue = string | number | bigint | boolean | Date | Uint8Array | null | undefined | readonly TableValue[] | TableRow;

/** One row, by column names. BigQuery does not tell `Total` from `total`, and neither does the sink. */
export interface TableRow {
  readonly [column: string]: TableValue;
}

/** When rows are sent: as soon as the first of these limits is reached. */
export interface SinkBatch {
  /**
   * So many rows are sent together.
   * @default 500, which is also what Google advises for insertAll
   */
  readonly rows?: number | undefined;
  /**
   * So many bytes of encoded rows are sent together; BigQuery takes 10 MB in one request, so 9,500,000 is the most allowed.
   * @default 1_000_000
   */
  readonly bytes?: number | undefined;
  /**
   * Milliseconds that a row waits for others to be sent with it. It is what each message waits at least when few come.
   * @default 100
   */
  readonly wait?: number | undefined;
}

/** How much is held in memory. A message beyond it fails with `ERR_OVERLOADED`, retryable. */
export interface SinkBuffer {
  /**
   * Rows that have no answer yet, those that are on their way included.
   * @default 10_000
   */
  readonly rows?: number | undefined;
  /**
   * Bytes of these rows, encoded.
   * @default 50_000_000
   */
  readonly bytes?: number | undefined;
}

/** How a request is repeated that failed for a reason that passes. */
export interface SinkRetry {
  /**
   * How often a batch is sent, the first time included.
   * @default 6, which takes some seconds: gRPC itself waits for one before it connects again
   */
  readonly maxAttempts?: number | undefined;
  /**
   * Upper bound of the first pause, in milliseconds; it doubles with every further one, and the pause is drawn between 0 and it.
   * @default 200
   */
  readonly baseDelay?: number | undefined;
  /**
   * Upper bound of any pause, in milliseconds.
   * @default 10_000
   */
  readonly maxDelay?: number | undefined;
}

export interface BigQuerySinkOptions<M extends AnyMessage = Message> {
  readonly dataset: string;
  readonly table: string;
  /** What a message is in the table. Annotate its parameter where the sink stands behind `decode`. */
  readonly toRow: (message: M) => TableRow;
  /** @default the project of the credentials */
  readonly projectId?: string | undefined;
  /**
   * Which API stores the rows: the Storage Write API over gRPC, or the older `tabledata.insertAll` over HTTP, which costs about twice as much and is
   * for where gRPC does not get through.
   * @default "storage-write"
   */
  readonly api?: "storage-write" | "insertAll" | undefined;
  /**
   * `at-least-once`: the table's default stream; a request that is repeated after an unclear answer may store its rows twice.
   * `exactly-once`: a stream of the sink's own, on which such a repetition is recognised, with one request at a time. It does not recognise
   * a message that is delivered again. Only with `api: "storage-write"`.
   * @default "at-least-once"
   */
  readonly delivery?: "at-least-once" | "exactly-once" | undefined;
  /** @default see {@link SinkBatch} */
  readonly batch?: SinkBatch | undefined;
  /** @default see {@link SinkBuffer} */
  readonly buffer?: SinkBuffer | undefined;
  /**
   * How many requests may be on their way at once.
   * @default 4, and 1 with `exactly-once`, where nothing else is allowed
   */
  readonly maxInFlight?: number | undefined;
  /**
   * Milliseconds after which a request without an answer counts as failed.
   * @default 30_000
   */
  readonly timeout?: number | undefined;
  /** @default see {@link SinkRetry} */
  readonly retry?: SinkRetry | undefined;
  /**
   * Milliseconds that `close` waits for rows to be stored.
   * @default 30_000
   */
  readonly closeTimeout?: number | undefined;
  /**
   * URL of the API, such as `http://127.0.0.1:9060` of an emulator. With `http:` neither encryption nor credentials are used.
   * @default Google's
   */
  readonly apiEndpoint?: string | undefined;
  /**
   * A client of your own for `storage-write`, which `close` leaves open.
   * @default one that is made with the default credentials when the first message comes
   */
  readonly writeClient?: BigQueryWriteClient | undefined;
  /**
   * A client of your own for `insertAll`.
   * @default one that is made with the default credentials when the first message comes
   */
  readonly bigquery?: BigQuery | undefined;
  /**
   * Measures waits, timeouts and pauses.
   * @default systemClock
   */
  readonly clock?: Clock | undefined;
  /**
   * Source of jitter, in [0, 1). Give a seeded one in tests.
   * @default Math.random
   */
  readonly random?: (() => number) | undefined;
}
