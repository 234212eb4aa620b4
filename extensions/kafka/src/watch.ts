import type { Admin, Consumer, Producer } from "@platformatic/kafka";

import { type Clock, sleep } from "event-driver";

export interface WatchOptions {
  readonly admin: Admin;
  readonly clock: Clock;
  readonly onState: (state: "connected" | "reconnecting") => void;
}

const pause = { first: 100, longest: 2_000 };

/** Tells when no broker can be reached, and when one can again. Each client of the connection comes back by itself. */
export class Watch {
  readonly #options: WatchOptions;
  readonly #ended = new AbortController();
  #isLooking = false;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  add(client: Producer | Consumer): void {
    client.on("client:broker:disconnect", () => void this.#look());
    client.on("client:broker:failed", () => void this.#look());
  }

  close(): void {
    this.#ended.abort();
  }

  /** A broker may close a connection that was idle: only what a question comes to says more. Never rejects. */
  async #look(): Promise<void> {
    if (this.#isLooking || this.#ended.signal.aborted) return;
    this.#isLooking = true;
    const { admin, clock, onState } = this.#options;
    for (let tries = 0; !this.#ended.signal.aborted; tries += 1) {
      try {
        await admin.metadata({ topics: [], forceUpdate: true, retries: 0 });
        if (tries > 0) onState("connected");
        break;
      } catch {
        // That is the answer: it is told as a state, and each client logs its own.
        if (tries === 0 && !this.#ended.signal.aborted) onState("reconnecting");
        await sleep(clock, Math.min(pause.longest, pause.first * 2 ** tries), this.#ended.signal).catch(() => {});
      }
    }
    this.#isLooking = false;
  }
}
