/** Whoever asks for messages out of a budget. */
export interface Spender {
  /** How many it has asked for and not settled. */
  readonly spent: number;
  /** Whether it would ask, if it were allowed to. */
  readonly isReady: boolean;
  /** What it may ask for has changed. */
  rebudget(): void;
}

/**
 * How many messages the positions of one subscription may have unsettled together.
 *
 * Each may ask for its share, whether it has something to give or not. Where there are more positions than messages they take turns, in the order in which they
 * have asked last.
 */
export class Budget {
  readonly #limit: number;
  /** Where there is not one for each, whoever has asked last is the last. */
  readonly #spenders = new Set<Spender>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether there are more that ask than may be asked for. */
  get isCrowded(): boolean {
    return this.#spenders.size > this.#limit;
  }

  join(spender: Spender): void {
    this.#spenders.add(spender);
    this.#tellOthers(spender);
  }

  leave(spender: Spender): void {
    if (this.#spenders.delete(spender)) this.#tellOthers(spender);
  }

  /** How many it may have unsettled. */
  shareOf(spender: Spender): number {
    const { size } = this.#spenders;
    if (size <= 1) return this.#limit;
    if (this.isCrowded) return 1;
    return Math.floor(this.#limit / size) + ([...this.#spenders].indexOf(spender) < this.#limit % size ? 1 : 0);
  }

  /** How many it may ask for now. */
  roomFor(spender: Spender): number {
    if (this.#spenders.size <= 1) return this.#limit - spender.spent;
    // What others have asked for when their share was larger still counts.
    const free = this.#limit - this.#spent();
    if (!this.isCrowded) return Math.min(free, this.shareOf(spender) - spender.spent);
    const waiting = [...this.#spenders].filter(({ isReady, spent }) => isReady && spent === 0);
    const turn = waiting.indexOf(spender);
    return turn !== -1 && turn < free ? 1 : 0;
  }

  /** It has asked. */
  asked(spender: Spender): void {
    if (!this.isCrowded) return;
    this.#spenders.delete(spender);
    this.#spenders.add(spender);
  }

  /** It has settled something, or does not get what it has asked for. */
  freed(spender: Spender): void {
    if (this.#spenders.size > 1) this.#tellOthers(spender);
  }

  #tellOthers(spender: Spender): void {
    for (const other of this.#spenders) if (other !== spender) other.rebudget();
  }

  #spent(): number {
    let spent = 0;
    for (const each of this.#spenders) spent += each.spent;
    return spent;
  }
}
