import type { Binding, RecordPlace } from "@event-driver/cloudevents/bindings";
import type { Message } from "event-driver";
import type { Handover, Inbound } from "event-driver/streams";

import type { Entry, Flight, Partition } from "./partition.ts";

import { showPosition } from "./position.ts";

/** Where a record stood at first, and how often it was delivered before it came to where it is now. */
export interface Origin {
  readonly position: string;
  readonly partition: string;
  readonly attempts: number;
  /** Epoch milliseconds. */
  readonly publishedAt: number;
}

/** What is done with a delivery. */
export interface Settling {
  /** Called once, with what is done. */
  readonly ack: (inbound: KafkaInbound) => void;
  /** Called once, with what is not. */
  readonly release: (inbound: KafkaInbound, delay: number) => Promise<void>;
}

export interface KafkaInboundOptions {
  readonly stream: string;
  readonly binding: Binding;
  readonly partition: Partition;
  readonly entry: Entry;
  /** Where it stood before it came into a retry topic; `undefined` where it has not been in one. */
  readonly origin: Origin | undefined;
  readonly settling: Settling;
}

/** One delivery. Where it is, is worked out only when somebody asks. */
export class KafkaInbound implements Inbound, Flight, RecordPlace {
  readonly message: Message;
  readonly failure: unknown;
  readonly stream: string;
  readonly attempt: number;
  /** That it was read from. */
  readonly log: Partition;
  readonly entry: Entry;
  /** Whom to tell when it is lost. */
  handover: Handover | undefined;
  list: unknown;
  before: Flight | undefined;
  after: Flight | undefined;
  readonly #origin: Origin | undefined;
  readonly #settling: Settling;

  constructor({ stream, binding, partition, entry, origin, settling }: KafkaInboundOptions) {
    this.stream = stream;
    this.log = partition;
    this.entry = entry;
    this.#origin = origin;
    this.#settling = settling;
    this.attempt = entry.attempts + (origin?.attempts ?? 0);
    const { key, value, headers } = entry.record.read(partition.texts);
    const { message, failure } = binding.read({ headers, key, body: value }, this);
    this.message = message;
    this.failure = failure;
  }

  get position(): string {
    const { offset, timestamp } = this.entry.record;
    return this.#origin?.position ?? showPosition({ partition: this.log.index, offset, timestamp });
  }

  get partition(): string {
    return this.#origin?.partition ?? String(this.log.index);
  }

  get publishedAt(): number {
    return this.#origin?.publishedAt ?? this.entry.record.timestamp;
  }

  async ack(): Promise<void> {
    if (this.log.flights.delete(this)) this.#settling.ack(this);
  }

  async release({ delay }: { readonly delay: number }): Promise<void> {
    if (this.log.flights.delete(this)) await this.#settling.release(this, delay);
  }
}
