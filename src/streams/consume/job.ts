import type { Delivery } from "../delivery.ts";
import type { Listed } from "../linked-list.ts";
import type { Handover, Inbound } from "../transport.ts";
import type { Lane } from "./lanes.ts";

import { Interrupt } from "../../context.ts";

/** One delivery on its way through a subscription. */
export class Job implements Handover, Listed<Job> {
  readonly inbound: Inbound;
  readonly stream: string;
  /** Where it waits for its turn, if it has to. */
  lane: Lane<Job> | undefined;
  list: unknown;
  before: Job | undefined;
  after: Job | undefined;
  /** When it failed first, in epoch milliseconds, as far as this subscription knows. */
  firstFailedAt: number | undefined;
  /** Aborts when the delivery is no longer ours, or nobody waits for it any longer. */
  readonly interrupt: Interrupt = new Interrupt(true);
  /** Told when the delivery is no longer ours. */
  readonly #onRevoked: (job: Job) => void;
  /** Attempts that were made in memory, and that the broker knows nothing of. */
  #retries = 0;
  #isGone = false;

  constructor(inbound: Inbound, stream: string, onRevoked: (job: Job) => void) {
    this.inbound = inbound;
    this.stream = stream;
    this.#onRevoked = onRevoked;
  }

  /** Whether there is nothing left to settle. */
  get isGone(): boolean {
    return this.#isGone;
  }

  get attempt(): number {
    return this.inbound.attempt + this.#retries;
  }

  countRetry(): void {
    this.#retries += 1;
  }

  /** The last thing to be done with it. */
  end(): void {
    this.#isGone = true;
  }

  revoke(reason: unknown): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.interrupt.abort(reason);
    this.#onRevoked(this);
  }

  delivery(): Delivery {
    const { message, position, partition, publishedAt, ackTime } = this.inbound;
    return {
      message,
      stream: this.stream,
      position,
      partition,
      attempt: this.attempt,
      redelivered: this.attempt > 1,
      publishedAt,
      ackTime,
    };
  }
}
