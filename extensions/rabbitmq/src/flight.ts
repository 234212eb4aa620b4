import type { ReadRecord } from "@event-driver/cloudevents/bindings";
import type { Message } from "event-driver";
import type { Handover, Inbound, Listed } from "event-driver/streams";
import type { AsyncMessage } from "rabbitmq-client";

import { attemptOf, positionOf } from "./records.ts";

/** What becomes of a delivery. */
export interface Settling {
  ack(flight: Flight): Promise<void>;
  release(flight: Flight, delay: number): Promise<void>;
}

/** One delivery that is not settled. */
export class Flight implements Inbound, Listed<Flight> {
  readonly message: Message;
  readonly failure: unknown;
  readonly partition: string | undefined;
  /** As the broker has sent it. */
  readonly record: AsyncMessage;
  /** Whom to tell when it is lost. */
  handover: Handover | undefined;
  list: unknown;
  before: Flight | undefined;
  after: Flight | undefined;
  readonly #settling: Settling;

  constructor(record: AsyncMessage, { message, failure }: ReadRecord, partition: string | undefined, settling: Settling) {
    this.message = message;
    this.failure = failure;
    this.partition = partition;
    this.record = record;
    this.#settling = settling;
  }

  get position(): string {
    return positionOf(this.record);
  }

  get attempt(): number {
    return attemptOf(this.record);
  }

  get publishedAt(): number | undefined {
    const { timestamp } = this.record;
    return timestamp === undefined ? undefined : timestamp * 1_000;
  }

  ack(): Promise<void> {
    return this.#settling.ack(this);
  }

  release({ delay }: { readonly delay: number }): Promise<void> {
    return this.#settling.release(this, delay);
  }
}
