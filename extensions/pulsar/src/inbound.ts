import type { Binding, EventRecord, RecordPlace } from "@event-driver/cloudevents/bindings";
import type { Message } from "event-driver";
import type { Handover, Inbound, LinkedList, Listed } from "event-driver/streams";

import { type MessageId, positionOf, readMessageId } from "./message-id.ts";

/** A message as the WebSocket API writes it. */
export interface ReceivedText {
  readonly messageId: string;
  /** Base64. */
  readonly payload?: string | null;
  readonly properties?: Readonly<Record<string, string>> | null;
  readonly key?: string | null;
  readonly publishTime?: string;
  /** How often it was given back, as long as Pulsar remembers. */
  readonly redeliveryCount?: number;
}

export interface InboundOptions {
  readonly received: ReceivedText;
  readonly stream: string;
  readonly binding: Binding;
  /** What came over the same socket and is not settled: it is taken out when it is. */
  readonly flights: LinkedList<PulsarInbound>;
  readonly ack: (messageId: string) => void;
  readonly release: (messageId: string) => void;
}

/** One delivery. Where it is, is worked out only when somebody asks. */
export class PulsarInbound implements Inbound, Listed<PulsarInbound>, RecordPlace {
  readonly message: Message;
  readonly failure: unknown;
  readonly stream: string;
  /** Whom to tell when it is lost. */
  handover: Handover | undefined;
  list: unknown;
  before: PulsarInbound | undefined;
  after: PulsarInbound | undefined;
  readonly #options: InboundOptions;
  #messageId: MessageId | undefined;

  constructor(options: InboundOptions) {
    this.#options = options;
    this.stream = options.stream;
    const { message, failure } = options.binding.read(recordOf(options.received), this);
    this.message = message;
    this.failure = failure;
  }

  get position(): string {
    return positionOf(this.#place);
  }

  get partition(): string | undefined {
    const { partition } = this.#place;
    return partition === undefined ? undefined : String(partition);
  }

  get attempt(): number {
    return (this.#options.received.redeliveryCount ?? 0) + 1;
  }

  get publishedAt(): number | undefined {
    const { publishTime } = this.#options.received;
    const time = publishTime === undefined ? Number.NaN : Date.parse(publishTime);
    return Number.isNaN(time) ? undefined : time;
  }

  /** Pulsar answers no acknowledgement: it is on its way when this resolves, and where it gets lost the message comes again. */
  async ack(): Promise<void> {
    if (this.#settle()) this.#options.ack(this.#options.received.messageId);
  }

  async release(): Promise<void> {
    if (this.#settle()) this.#options.release(this.#options.received.messageId);
  }

  get #place(): MessageId {
    return (this.#messageId ??= readMessageId(this.#options.received.messageId));
  }

  /** Whether there is something left to say: once, and only over the socket that it came over. */
  #settle(): boolean {
    return this.#options.flights.delete(this);
  }
}

function recordOf({ payload, properties, key }: ReceivedText): EventRecord {
  return {
    headers: Object.entries(properties ?? {}),
    key,
    body: typeof payload === "string" ? Buffer.from(payload, "base64") : null,
  };
}
