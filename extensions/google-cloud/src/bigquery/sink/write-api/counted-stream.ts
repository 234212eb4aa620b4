import type { Failure, Outcome } from "./outcome.ts";
import type { Status } from "./status.ts";
import type { ProtoRow, TableLink } from "./table-link.ts";

import { readRejection } from "./outcome.ts";

interface OpenStream {
  readonly name: string;
  /** How many rows it has: where the next one belongs. */
  offset: number;
}

/** After these a stream takes no more rows, or not where they belong. */
const ending: ReadonlySet<Status> = new Set<Status>(["ALREADY_EXISTS", "FAILED_PRECONDITION", "NOT_FOUND", "OUT_OF_RANGE"]);

/**
 * Appends to a stream that counts its rows, so that a batch which is sent again is stored once: it says where on the stream it belongs, and BigQuery
 * knows whether something is there. One append at a time.
 *
 * Once nobody can know where the stream ends, it is left, and what follows goes to a new one.
 */
export class CountedStream {
  readonly #link: TableLink;
  readonly #create: () => Promise<string>;
  #stream: OpenStream | undefined;
  /** The batch that may be on the stream, because its answer did not come. */
  #unclear: readonly ProtoRow[] | undefined;

  constructor(link: TableLink, create: () => Promise<string>) {
    this.#link = link;
    this.#create = create;
  }

  async append(rows: readonly ProtoRow[]): Promise<Outcome> {
    const again = this.#unclear === rows;
    if (this.#unclear !== undefined && !again) this.#leave();
    try {
      this.#stream ??= { name: await this.#create(), offset: 0 };
    } catch (error) {
      return readRejection(error);
    }
    const stream = this.#stream;
    const outcome = await this.#link.send(rows, stream.name, stream.offset);
    const stored = outcome.status === "stored" || (again && isThere(outcome));
    if (outcome.status === "failed" && !stored) return this.#fail(outcome, rows, again);
    if (stored) stream.offset += rows.length;
    this.#unclear = undefined;
    return stored ? { status: "stored", refused: [] } : outcome;
  }

  #fail(failure: Failure, rows: readonly ProtoRow[], again: boolean): Failure {
    if (failure.unclear) {
      this.#unclear = rows;
      return failure;
    }
    // A gap shows that nothing is there from the time before either.
    if (failure.code === "OUT_OF_RANGE") this.#unclear = undefined;
    const unclear = again && this.#unclear !== undefined;
    if (!ending.has(failure.code) && !(unclear && failure.code === "INVALID_ARGUMENT")) return failure;
    this.#leave();
    // A new stream might take it at once, or a part of it, but what may be on the old one would then be stored twice.
    return { ...failure, unclear, passing: !unclear };
  }

  #leave(): void {
    this.#stream = undefined;
    this.#unclear = undefined;
  }
}

function isThere(outcome: Outcome): boolean {
  return outcome.status === "failed" && outcome.code === "ALREADY_EXISTS";
}
