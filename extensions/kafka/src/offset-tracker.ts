/**
 * Which offsets of a partition are done, so that its position never passes one that is not.
 *
 * Offsets begin in ascending order, with gaps where the log has some, and end in any order.
 */
export class OffsetTracker {
  /** In ascending order, since that is how they began. */
  readonly #unfinished = new Set<bigint>();
  #next: bigint;

  /** @param next the first offset that is to come */
  constructor(next: bigint) {
    this.#next = next;
  }

  /** From where to go on after a restart: everything before is done. */
  get position(): bigint {
    for (const lowest of this.#unfinished) return lowest;
    return this.#next;
  }

  /** How many have begun and are not done. */
  get unfinished(): number {
    return this.#unfinished.size;
  }

  /** The unfinished offsets from the lowest one on, up to the first that is not `ready`. */
  leading(isReady: (offset: bigint) => boolean): readonly bigint[] {
    const offsets: bigint[] = [];
    for (const offset of this.#unfinished) {
      if (!isReady(offset)) break;
      offsets.push(offset);
    }
    return offsets;
  }

  begin(offset: bigint): void {
    if (offset < this.#next) return;
    this.#unfinished.add(offset);
    this.#next = offset + 1n;
  }

  /** Nothing before `next` will begin any more. */
  skipTo(next: bigint): void {
    if (next > this.#next) this.#next = next;
  }

  /** `false` when it was done before, or has not begun. */
  finish(offset: bigint): boolean {
    return this.#unfinished.delete(offset);
  }
}
