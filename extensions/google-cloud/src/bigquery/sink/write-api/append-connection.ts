import type { protos } from "@google-cloud/bigquery-storage";

import { type Clock, TimeoutError } from "event-driver";

type AppendRequest = protos.google.cloud.bigquery.storage.v1.IAppendRowsRequest;
export type AppendResponse = protos.google.cloud.bigquery.storage.v1.IAppendRowsResponse;

/** What is needed of the stream that `BigQueryWriteClient.appendRows` opens. */
export interface AppendStream {
  on(event: "data", listener: (response: AppendResponse) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  on(event: "end" | "close", listener: () => void): unknown;
  write(request: AppendRequest): unknown;
  /** Says that no more requests come. */
  end(): unknown;
  /** Breaks it off. */
  cancel(): void;
}

export interface AppendConnectionSettings {
  readonly stream: AppendStream;
  /** Name of the write stream that is appended to. */
  readonly writeStream: string;
  /** What the rows of this connection look like. */
  readonly descriptor: protos.google.protobuf.IDescriptorProto;
  readonly clock: Clock;
  /** Milliseconds that an answer may take. */
  readonly timeout: number;
}

interface PendingAppend {
  readonly resolve: (response: AppendResponse) => void;
  readonly reject: (error: unknown) => void;
  readonly stopTimer: () => void;
}

/**
 * One connection for appends.
 *
 * BigQuery answers in the order of the requests, and nothing else says which one it answers. So an answer that fails to come ends the connection with
 * all that wait on it: every later one could be taken for another's. The client's own StreamConnection is not used for that reason: when a table's
 * change makes it connect anew, it gives the answers that come then to the requests whose answers it has lost.
 */
export class AppendConnection {
  readonly #settings: AppendConnectionSettings;
  readonly #pending: PendingAppend[] = [];
  #introduced = false;
  #ended: Error | undefined;

  constructor(settings: AppendConnectionSettings) {
    this.#settings = settings;
    const { stream } = settings;
    stream.on("data", (response) => this.#answer(response));
    stream.on("error", (error) => this.#end(error));
    stream.on("end", () => this.#end(new Error("BigQuery has ended the connection")));
    stream.on("close", () => this.#end(new Error("the connection is closed")));
  }

  /** Whether it takes no more rows; BigQuery ends a connection that was idle for ten minutes. */
  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** Whether nothing waits for an answer. */
  get idle(): boolean {
    return this.#pending.length === 0;
  }

  /** Rejects when no answer has come; then the rows may be stored or not. */
  append(serializedRows: Uint8Array[], offset?: number): Promise<AppendResponse> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const { stream, clock, timeout } = this.#settings;
    const { promise, resolve, reject } = Promise.withResolvers<AppendResponse>();
    const stopTimer = clock.after(timeout, () => this.close(new TimeoutError(`BigQuery has not answered within ${timeout} ms`)));
    this.#pending.push({ resolve, reject, stopTimer });
    stream.write(this.#request(serializedRows, offset));
    return promise;
  }

  /** Ends it; what has no answer yet rejects with the reason. */
  close(reason: Error = new Error("the connection is closed")): void {
    if (this.ended) return;
    const { stream } = this.#settings;
    // BigQuery is told in good form that nothing more comes, unless it owes an answer that nobody waits for.
    if (this.idle) stream.end();
    else stream.cancel();
    this.#end(reason);
  }

  #request(serializedRows: Uint8Array[], offset: number | undefined): AppendRequest {
    const { writeStream, descriptor } = this.#settings;
    const introduction = this.#introduced ? {} : { writerSchema: { protoDescriptor: descriptor } };
    this.#introduced = true;
    return {
      writeStream,
      protoRows: { ...introduction, rows: { serializedRows } },
      defaultMissingValueInterpretation: "DEFAULT_VALUE",
      traceId: "event-driver",
      ...(offset !== undefined && { offset: { value: offset } }),
    };
  }

  #answer(response: AppendResponse): void {
    const oldest = this.#pending.shift();
    oldest?.stopTimer();
    oldest?.resolve(response);
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const { stopTimer, reject } of this.#pending.splice(0)) {
      stopTimer();
      reject(error);
    }
  }
}
