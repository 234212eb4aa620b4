/** Something that has what to hand over, and waits until there is room for it. */
export interface Waiting {
  /** Hands over one. Returns whether it has more. */
  proceed(): boolean;
}

/** Bounds how much is handed over and not settled, over all partitions of a subscription. Those that wait for room get it in turn. */
export class Room {
  #free: number;
  readonly #waiting = new Set<Waiting>();

  constructor(size: number) {
    this.#free = size;
  }

  /** Whether there was room for one more; else `waiting` proceeds when there is. */
  enter(waiting: Waiting): boolean {
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    this.#waiting.add(waiting);
    return false;
  }

  leave(): void {
    this.#free += 1;
    // What is handed over may be settled at once, and then this is called within.
    for (const next of this.#waiting) {
      if (this.#free === 0) return;
      this.#free -= 1;
      this.#waiting.delete(next);
      if (next.proceed()) this.#waiting.add(next);
    }
  }

  /** It has nothing to hand over any more. */
  forget(waiting: Waiting): void {
    this.#waiting.delete(waiting);
  }
}
