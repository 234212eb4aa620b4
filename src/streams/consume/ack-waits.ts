import type { Clock } from "../../clock.ts";
import type { Inbound } from "../transport.ts";

export interface AckWaitsOptions {
  /** Milliseconds between two extensions of one delivery. */
  readonly every: number;
  readonly clock: Clock;
  readonly onError: (inbound: Inbound, error: unknown) => void;
}

/**
 * Extends the ack wait of all deliveries in it, as long as they are.
 *
 * One timer serves all of them: the first extension may come early, which does no harm, and none comes late.
 */
export class AckWaits {
  readonly #options: AckWaitsOptions;
  readonly #waiting = new Set<Inbound>();
  #cancel: (() => void) | undefined;

  constructor(options: AckWaitsOptions) {
    this.#options = options;
  }

  add(inbound: Inbound): void {
    if (inbound.extend === undefined) return;
    this.#waiting.add(inbound);
    this.#cancel ??= this.#arm();
  }

  delete(inbound: Inbound): void {
    this.#waiting.delete(inbound);
    if (this.#waiting.size > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #arm(): () => void {
    return this.#options.clock.after(this.#options.every, () => {
      this.#cancel = this.#arm();
      for (const inbound of this.#waiting) this.#extend(inbound);
    });
  }

  #extend(inbound: Inbound): void {
    inbound.extend?.().catch((error: unknown) => this.#options.onError(inbound, error));
  }
}
