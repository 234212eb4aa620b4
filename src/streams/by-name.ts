/** With fewer than this, idle ones are kept: their names may come again. */
const few = 1_000;

export interface ByNameOptions<Value> {
  readonly make: (name: string) => Value;
  /** Whether nobody would miss it. */
  readonly isIdle: (value: Value) => boolean;
}

/**
 * What there is one of for each name, made when it is first asked for.
 *
 * Idle ones are left out all together at times: to take each out of a Map as soon as it is idle makes the Map make itself anew all the time, and that costs what `LinkedList` says.
 */
export class ByName<Value> {
  readonly #options: ByNameOptions<Value>;
  #values = new Map<string, Value>();
  /** How many are kept before the idle ones are left out. */
  #most = few;

  constructor(options: ByNameOptions<Value>) {
    this.#options = options;
  }

  of(name: string): Value {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    if (this.#values.size >= this.#most) this.#leaveOutIdle();
    const made = this.#options.make(name);
    this.#values.set(name, made);
    return made;
  }

  #leaveOutIdle(): void {
    this.#values = new Map([...this.#values].filter(([, value]) => !this.#options.isIdle(value)));
    this.#most = Math.max(few, 2 * this.#values.size);
  }
}
