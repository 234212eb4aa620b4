import type { Clock } from "../../clock.ts";
import type { Inbound } from "../transport.ts";

export interface AckWaitsOptions {
  /** Milliseconds between two extensions of one delivery. */
  readonly every: number;
  readonly clock: Clock;
  /** Those that are to be extended. */
  readonly unsettled: () => Iterable<{ readonly inbound: Inbound }>;
  readonly onError: (inbound: Inbound, error: unknown) => void;
}

/**
 * Extends the ack wait of all deliveries, as long as they are unsettled.
 *
 * One timer serves all of them: the first extension may come early, which does no harm, and none comes late.
 */
export class AckWaits {
  readonly #options: AckWaitsOptions;
  #cancel: (() => void) | undefined;

  constructor(options: AckWaitsOptions) {
    this.#options = options;
  }

  /** There is a delivery to extend. */
  watch(): void {
    this.#cancel ??= this.#options.clock.after(this.#options.every, () => this.#extendAll());
  }

  /** There is none any more. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #extendAll(): void {
    this.#cancel = undefined;
    this.watch();
    for (const { inbound } of this.#options.unsettled()) {
      inbound.extend?.().catch((error: unknown) => this.#options.onError(inbound, error));
    }
  }
}
