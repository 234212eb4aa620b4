import type { Clock } from "../clock.ts";

/** What is told when its time has come. */
export interface Timed {
  /** Epoch milliseconds on the clock it is watched by. */
  readonly deadline: number;
  timeOut(): void;
}

/** One run that can be given up from outside. */
export interface Racer extends Timed {
  giveUp(reason: unknown): void;
}

/** A racer's place in a {@link Field}; leaving it twice does nothing. */
export class Place<R extends Timed = Racer> {
  readonly racer: R;
  readonly field: Field<R>;
  ahead: Place<R> | undefined = undefined;
  behind: Place<R> | undefined;

  constructor(racer: R, field: Field<R>) {
    this.racer = racer;
    this.field = field;
    this.behind = field.first;
  }

  leave(): void {
    if (this.ahead !== undefined) this.ahead.behind = this.behind;
    else if (this.field.first === this) this.field.first = this.behind;
    if (this.behind !== undefined) this.behind.ahead = this.ahead;
    this.ahead = undefined;
    this.behind = undefined;
  }
}

/** Racers in no order. A linked list, for a set takes five times as long to add to and delete from, and every message does both. */
export class Field<R extends Timed = Racer> {
  first: Place<R> | undefined = undefined;

  add(racer: R): Place<R> {
    const place = new Place(racer, this);
    if (this.first !== undefined) this.first.ahead = place;
    this.first = place;
    return place;
  }

  all(): readonly R[] {
    const racers: R[] = [];
    for (let place = this.first; place !== undefined; place = place.behind) racers.push(place.racer);
    return racers;
  }
}

/** While anything is watched, a timer fires at least this often, in milliseconds: it outlives the last run by no more. */
const longestTick = 250;

/**
 * Watches signals and deadlines for all runs of one pipeline.
 *
 * A listener on a signal or a timer for each message would cost as much as running it through five stages. So there is one listener for each
 * signal, which stays as long as the signal does, and one timer for each clock.
 */
export class Races {
  readonly #bySignal = new WeakMap<AbortSignal, Field>();
  /** Of the clock that was asked for last: mostly there is but one, and comparing is cheaper than looking up. */
  #latest: DeadlineWatch | undefined;

  /** The runs that end when the signal aborts; add one to have it watched, and have it leave when it ends. */
  watchSignal(signal: AbortSignal): Field {
    const watched = this.#bySignal.get(signal);
    if (watched !== undefined) return watched;
    const racers = new Field();
    this.#bySignal.set(signal, racers);
    signal.addEventListener("abort", () => racers.all().forEach((racer) => racer.giveUp(signal.reason)), { once: true });
    return racers;
  }

  /** The same for the deadlines on one clock. */
  watchClock(clock: Clock): DeadlineWatch {
    if (this.#latest?.clock !== clock) this.#latest = new DeadlineWatch(clock);
    return this.#latest;
  }
}

/** One timer for the nearest of many deadlines. It is not taken back when the last run ends, for the next one is mostly close behind. */
export class DeadlineWatch {
  readonly clock: Clock;
  readonly #racers = new Field<Timed>();
  #firesAt = Infinity;
  #cancel: () => void = () => {};

  constructor(clock: Clock) {
    this.clock = clock;
  }

  add(racer: Timed): Place<Timed> {
    if (racer.deadline < this.#firesAt) this.#arm(racer.deadline);
    return this.#racers.add(racer);
  }

  #arm(deadline: number): void {
    const now = this.clock.now();
    const delay = Math.min(Math.max(deadline - now, 0), longestTick);
    this.#cancel();
    this.#firesAt = now + delay;
    this.#cancel = this.clock.after(delay, () => this.#tick());
  }

  #tick(): void {
    const now = this.clock.now();
    let nearest = Infinity;
    this.#firesAt = Infinity;
    for (const racer of this.#racers.all()) {
      if (racer.deadline <= now) racer.timeOut();
      else nearest = Math.min(nearest, racer.deadline);
    }
    if (nearest < this.#firesAt) this.#arm(nearest);
  }
}
