import type { AnyMessage, Handler, Message } from "event-driver";

import type { EncodedRow, RowWriter } from "./row-writer.ts";
import type { BigQuerySinkOptions } from "./sink-options.ts";
import type { SinkSettings } from "./sink-settings.ts";

import { closedSink, fullBuffer, misfitRow, type TableName, unopenedSink } from "./failures.ts";
import { RowQueue } from "./row-queue.ts";
import { Misfit } from "./rows/convert.ts";

/** Stores each message as a row of a table, then passes it on. */
export interface BigQuerySink<M extends AnyMessage = Message> extends Handler<M, M> {
  /**
   * Reads the columns of the table. Call it before the first message to find out at start-up whether the table is there and may be read.
   *
   * @throws EventDriverError `ERR_SINK_FAILED`
   */
  readonly check: () => Promise<void>;
  /** Sends what waits, and resolves when each message that waits now has its outcome. */
  readonly flush: () => Promise<void>;
  /**
   * Refuses further messages, sends what waits, and ends the connections. What has no answer after `closeTimeout` fails with `ERR_SINK_CLOSED`.
   * Idempotent.
   */
  readonly close: () => Promise<void>;
}

/** The sink over one way of storing rows. */
export function sinkOver<M extends AnyMessage, Row extends EncodedRow>(
  writer: RowWriter<Row>,
  { dataset, table, toRow }: Pick<BigQuerySinkOptions<M>, "dataset" | "table" | "toRow">,
  settings: SinkSettings,
): BigQuerySink<M> {
  const target: TableName = { dataset, table };
  const queue = new RowQueue<Row>(settings, target, (rows) => writer.append(rows));
  const storing = new Set<Promise<void>>();
  const openings = new Set<Promise<void>>();
  let closing: Promise<void> | undefined;

  const check = async (): Promise<void> => {
    try {
      await writer.open();
    } catch (error) {
      throw unopenedSink(target, error);
    }
  };

  const encode = (message: M): Row => {
    const row = toRow(message);
    try {
      return writer.encode(row, message);
    } catch (error) {
      throw error instanceof Misfit ? misfitRow(message.id, target, error) : error;
    }
  };

  const store = async (message: M, signal: AbortSignal): Promise<void> => {
    if (closing !== undefined) throw closedSink(message.id, target);
    if (openings.size + queue.size >= settings.buffer.rows) throw fullBuffer(message.id, target);
    signal.throwIfAborted();
    const opening = orAborted(check(), signal);
    openings.add(opening);
    try {
      await opening;
    } finally {
      openings.delete(opening);
    }
    await queue.add(message.id, encode(message), signal);
  };

  const flush = async (): Promise<void> => {
    await Promise.allSettled(openings);
    await queue.flush();
  };

  const finish = async (): Promise<void> => {
    const { clock, closeTimeout } = settings;
    const late = Promise.withResolvers<void>();
    const stopTimer = clock.after(closeTimeout, late.resolve);
    await Promise.race([Promise.allSettled([flush(), ...storing]), late.promise]);
    stopTimer();
    queue.abandon();
    await writer.close();
  };

  return {
    traits: { name: "bigQuerySink" },
    async process(ctx, message, next) {
      const stored = store(message, ctx.signal);
      storing.add(stored);
      try {
        await stored;
      } finally {
        storing.delete(stored);
      }
      await next(ctx, message);
    },
    check,
    flush,
    close: () => (closing ??= finish()),
  };
}

/** Settles as the work does, or rejects with the signal's reason if that is sooner; the work goes on. */
function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
