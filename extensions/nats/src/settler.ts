import type { Clock } from "event-driver";

import { nanos } from "@nats-io/transport-node";

import type { Flight, Flights, Settling } from "./deliveries.ts";
import type { Link } from "./link.ts";
import type { Tenure } from "./partitions/tenure.ts";

const encoder = new TextEncoder();
const acknowledged = encoder.encode("+ACK");
const inProgress = encoder.encode("+WPI");
/** What is said of a delivery that is to come again at once. */
export const notAcknowledged: Uint8Array = encoder.encode("-NAK");

export interface SettlerOptions {
  readonly link: Link;
  readonly clock: Clock;
  /** Those of the same position. */
  readonly flights: Flights;
  readonly tenure: Tenure | undefined;
}

/** Tells the broker what has become of the deliveries of a position. */
export class Settler implements Settling {
  readonly #options: SettlerOptions;

  constructor(options: SettlerOptions) {
    this.#options = options;
  }

  ack(flight: Flight): Promise<void> {
    const { link, flights } = this.#options;
    if (!flights.land(flight)) return Promise.resolve();
    return link.say(flight.reply, acknowledged).catch((error: unknown) => this.#sayAgain(flight, acknowledged, error));
  }

  async release(flight: Flight, delay: number): Promise<void> {
    const { link, flights, tenure } = this.#options;
    if (!flights.land(flight)) return;
    if (delay > 0) tenure?.postpone(flight.sequence, delay);
    // Who is out of reach need not be told: the broker takes it back by itself.
    await link.say(flight.reply, delay > 0 ? encoder.encode(`-NAK {"delay":${nanos(Math.ceil(delay))}}`) : notAcknowledged);
  }

  async extend(flight: Flight): Promise<void> {
    const { link, clock, flights } = this.#options;
    if (!flights.has(flight)) return;
    const extendedAt = clock.now();
    await link.say(flight.reply, inProgress);
    flights.extend(flight, extendedAt);
  }

  /** Sends a last word until the broker has it or the message back. */
  async #sayAgain(flight: Flight, word: Uint8Array, failure: unknown): Promise<void> {
    const { link, clock } = this.#options;
    for (let error = failure; ;) {
      const left = flight.endsAt - clock.now();
      if (left <= 0 || link.isClosed) throw error;
      await link.up(left);
      try {
        return await link.say(flight.reply, word);
      } catch (again) {
        error = again;
      }
    }
  }
}
