import type { Clock } from "event-driver";

import type { TableRow } from "../sink-options.ts";
import type { Columns } from "./column.ts";

import { type Cell, convertRow, Misfit } from "./convert.ts";

/** Milliseconds for which a row that does not fit makes nobody look at the table again. */
const trusted = 60_000;

/** What a table looks like. It is read when it is first needed, and again when there is reason to think that it has changed. */
export class KnownTable<Shape extends { readonly columns: Columns }> {
  readonly #read: () => Promise<Shape>;
  readonly #clock: Clock;
  #shape: Shape | undefined;
  #readAt = 0;
  #outdated = true;
  #reading: Promise<void> | undefined;

  constructor(read: () => Promise<Shape>, clock: Clock) {
    this.#read = read;
    this.#clock = clock;
  }

  /** @throws Error where the table was never read: `know` comes first */
  get shape(): Shape {
    if (this.#shape === undefined) throw new Error("the table has not been read yet");
    return this.#shape;
  }

  /** Reads the table unless it is known. Rejects as the reading does. */
  async know(): Promise<void> {
    if (!this.#outdated) return;
    this.#reading ??= this.#look().finally(() => (this.#reading = undefined));
    await this.#reading;
  }

  /** BigQuery says by itself what it looks like now. */
  learn(shape: Shape): void {
    this.#shape = shape;
  }

  /** It may look different: the next `know` reads it again. */
  doubt(): void {
    this.#outdated = true;
  }

  /**
   * A row by the columns of the table. One that does not fit raises doubts, but no more often than once a minute.
   *
   * @throws Misfit
   */
  convert(row: TableRow): readonly Cell[] {
    try {
      return convertRow(this.shape.columns, row);
    } catch (error) {
      if (error instanceof Misfit && this.#clock.now() - this.#readAt >= trusted) this.doubt();
      throw error;
    }
  }

  async #look(): Promise<void> {
    this.#shape = await this.#read();
    this.#readAt = this.#clock.now();
    this.#outdated = false;
  }
}
