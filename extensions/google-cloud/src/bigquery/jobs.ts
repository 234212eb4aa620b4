import type { BigQuery, Job, JobMetadata, Query } from "@google-cloud/bigquery";
import type { Logger } from "event-driver";
import type { CallKind } from "./calls.ts";
import type { Parameters, Row } from "./rows.ts";

import { isDuplicate } from "./failures.ts";
import { parameterTypes } from "./statements.ts";

/** What every job is given. */
export interface JobSettings {
  readonly location: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly maximumBytesBilled: number | undefined;
  /** Milliseconds after which BigQuery itself ends a job, so that none outlives a process that has died. */
  readonly limits: Readonly<Record<CallKind, number>>;
  readonly logger: Logger;
}

/** One request to the store. However often it has to be sent, it runs once: its id is that of its job. */
export interface JobRequest {
  readonly id: string;
  readonly kind: CallKind;
  readonly query: string;
  readonly parameters: Parameters;
  readonly signal: AbortSignal;
}

/** Runs statements as jobs and not by the client's `query`, which cannot say how often a statement ran when its answer was lost. */
export class Jobs {
  readonly #client: BigQuery;
  readonly #settings: JobSettings;

  constructor(client: BigQuery, settings: JobSettings) {
    this.#client = client;
    this.#settings = settings;
  }

  /** The rows of a query; of a statement that inserts there are none. */
  async rows(request: JobRequest): Promise<readonly Row[]> {
    return this.#run(request, (job) => readRows(job, request.signal));
  }

  /** How many rows a statement has inserted. */
  async inserted(request: JobRequest): Promise<number> {
    return this.#run(request, async (job) => {
      await readRows(job, request.signal);
      const metadata: JobMetadata = (await job.getMetadata())[0];
      return Number(metadata.statistics?.query?.numDmlAffectedRows ?? 0);
    });
  }

  /** Has BigQuery check a statement and the right to run it, at no cost. */
  async dryRun(request: JobRequest): Promise<void> {
    await this.#client.createQueryJob({ ...this.#query(request), dryRun: true });
  }

  async #run<Result>(request: JobRequest, finish: (job: Job) => Promise<Result>): Promise<Result> {
    const { signal } = request;
    const job = await this.#start(request);
    const cancel = (): void => void this.#cancel(job);
    if (signal.aborted) cancel();
    signal.throwIfAborted();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      return await finish(job);
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  async #start(request: JobRequest): Promise<Job> {
    try {
      const [job] = await this.#client.createQueryJob(this.#query(request));
      return job;
    } catch (error) {
      // The client sends a request again when its answer is lost. The job of the first one is this one's.
      if (!isDuplicate(error)) throw error;
      const { location } = this.#settings;
      return this.#client.job(jobId(request.id), location === undefined ? {} : { location });
    }
  }

  #query({ id, kind, query, parameters }: JobRequest): Query {
    const { location, labels, maximumBytesBilled, limits } = this.#settings;
    const names = Object.keys(parameters);
    return {
      query,
      params: parameters,
      types: Object.fromEntries(names.map((name) => [name, parameterTypes[name] ?? "STRING"])),
      jobId: jobId(id),
      jobTimeoutMs: limits[kind],
      labels,
      // What was answered before may be older than what has been written since.
      useQueryCache: false,
      ...(location !== undefined && { location }),
      ...(maximumBytesBilled !== undefined && { maximumBytesBilled: String(maximumBytesBilled) }),
    };
  }

  /** Nobody waits for it any more, so that it failed is told to the log alone. */
  async #cancel(job: Job): Promise<void> {
    try {
      await job.cancel();
    } catch (error) {
      this.#settings.logger.debug({ err: error, jobId: job.id }, "a BigQuery job that nobody waits for could not be cancelled");
    }
  }
}

/** Waits for the job, and reads all pages of what it found. */
async function readRows(job: Job, signal: AbortSignal): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (let pageToken: string | undefined; ;) {
    const [page, next] = await job.getQueryResults({ autoPaginate: false, ...(pageToken !== undefined && { pageToken }) });
    for (const row of page) rows.push(row);
    if (next === null || next === undefined) return rows;
    signal.throwIfAborted();
    ({ pageToken } = next);
  }
}

function jobId(id: string): string {
  return `event-driver-${id}`;
}
