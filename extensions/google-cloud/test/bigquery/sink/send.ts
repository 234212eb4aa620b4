import { createContext, createMessage, isEventDriverError, pipeline } from "event-driver";

import type { BigQuerySink } from "../../../src/bigquery/sink/sink-over.ts";

/** Sends a message of this id through a pipeline that has only the sink. */
export function send(sink: BigQuerySink, id: string, signal?: AbortSignal): Promise<void> {
  const message = createMessage({ id, key: `order-${id}`, source: "orders", content: "{}" });
  return pipeline().use(sink).process(createContext({ signal }), message);
}

/** `"stored"`, or what it was rejected with; of a stage's failure the cause. */
export function outcomeOf(promise: Promise<void>): Promise<unknown> {
  return promise.then(
    () => "stored",
    (error: unknown) => (isEventDriverError(error) && error.name === "StageError" ? error.cause : error),
  );
}
