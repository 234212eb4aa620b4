import { type AnyMessage, invalidOption, type Message } from "event-driver";

import type { BigQuerySinkOptions } from "./sink-options.ts";

import { openInsertApi } from "./insert-all/insert-api.ts";
import { InsertAllWriter } from "./insert-all/insert-all-writer.ts";
import { type BigQuerySink, sinkOver } from "./sink-over.ts";
import { sinkSettings } from "./sink-settings.ts";
import { openWriteApi, type WriteApi } from "./write-api/write-api.ts";
import { WriteApiWriter } from "./write-api/write-api-writer.ts";

/**
 * Streams messages into a BigQuery table, in batches.
 *
 * Use it as the last stage, or anywhere in a pipeline: a message goes on, and its pipeline resolves, only when its row is stored. So nothing is lost
 * in a crash, for what was not stored was not acknowledged; it is delivered again, and what was stored without an answer is then stored twice. A
 * message whose signal aborts while its row is on the way may be stored all the same. How many messages are processed at once limits how large a
 * batch can get.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; a message fails with `ERR_ROW_REFUSED` or `ERR_TOO_LARGE`, terminal, where its row can never be stored,
 * and with `ERR_SINK_FAILED`, `ERR_OVERLOADED` or `ERR_SINK_CLOSED`, retryable, where BigQuery, the buffer or the time is at fault
 * @example
 * const sink = bigQuerySink({ dataset: "shop", table: "orders", toRow: (order: DecodedMessage<Order>) => ({ id: order.id, total: order.content.total }) });
 * const orders = pipeline().use(decode(Order)).use(sink);
 */
export function bigQuerySink<M extends AnyMessage = Message>(options: BigQuerySinkOptions<M>): BigQuerySink<M> {
  const { toRow, ...sending } = options;
  const settings = sinkSettings(sending);
  if (typeof toRow !== "function") throw invalidOption("bigQuerySink", "toRow", toRow, "a function");
  const { clock, timeout } = settings;
  const { api, delivery } = options;
  if (api === "insertAll") {
    return sinkOver(new InsertAllWriter({ openApi: () => openInsertApi(sending), clock, timeout }), options, settings);
  }
  const openApi = (): Promise<WriteApi> => openWriteApi({ ...sending, timeout });
  return sinkOver(new WriteApiWriter({ openApi, exactlyOnce: delivery === "exactly-once", clock, timeout }), options, settings);
}
