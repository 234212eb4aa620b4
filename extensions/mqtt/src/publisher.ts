import type { Clock } from "event-driver";
import type { IClientPublishOptions, IConnackPacket, Packet } from "mqtt";
import type { Link } from "./link.ts";

export interface PublisherOptions {
  readonly clock: Clock;
  readonly link: () => Link;
}

/** One message on its way to the broker. */
export interface Publication {
  readonly topic: string;
  readonly payload: Buffer;
  readonly options: IClientPublishOptions;
}

/** What the broker has said of it. */
export interface PublishAnswer {
  /** Whether the broker knows nobody who gets it, as far as it tells. */
  readonly isUnmatched: boolean;
}

interface Waiting extends Publication {
  readonly settle: PromiseWithResolvers<PublishAnswer>;
  isGivenUp: boolean;
}

/** At most so many without an answer, also where the broker would take more: identifiers of packets are few. */
const largestWindow = 4_096;
const noMatchingSubscribers = 0x10;
/**
 * Milliseconds after a lost connection was back in which subscribers are missing only because theirs is not back yet, and those between two attempts to reach
 * them. Mosquitto, 2.0.11 for one, forgets shared subscriptions when it is restarted.
 */
const recovery = 5_000;
const recoveryPause = 200;

/**
 * Publishes in the order of the calls, and no more at once than the broker takes: MQTT.js would send more, and be disconnected for it.
 *
 * What was not answered when the connection is lost is sent again when it is back.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #waiting: Waiting[] = [];
  /** The next one of those waiting. */
  #next = 0;
  readonly #sent = new Set<Waiting>();
  /** Identifiers of packets of which the broker has said that they matched no subscriber. */
  readonly #unmatched = new Set<number>();
  /** What was sent to nobody, and is sent again soon. */
  readonly #unheard = new Map<Waiting, () => void>();
  #window = 0;
  /** Whether what waits goes out in this turn anyway. */
  #isSending = false;
  #connections = 0;
  #recoveredAt = 0;
  #failure: Error | undefined;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  publish({ topic, payload, options }: Publication, signal: AbortSignal | undefined): Promise<PublishAnswer> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const waiting: Waiting = { topic, payload, options, settle: Promise.withResolvers<PublishAnswer>(), isGivenUp: false };
    this.#waiting.push(waiting);
    this.#send();
    return signal === undefined ? waiting.settle.promise : this.#unlessAborted(waiting, signal);
  }

  /** The broker has answered: what waits may go. */
  begin({ properties }: IConnackPacket): void {
    this.#connections += 1;
    if (this.#connections > 1) this.#recoveredAt = this.#options.clock.now() + recovery;
    this.#window = Math.min(properties?.receiveMaximum ?? 0xffff, largestWindow);
    this.#send();
  }

  /** Notes what MQTT.js does not tell whoever has published. */
  notice(packet: Packet): void {
    if (
      (packet.cmd === "puback" || packet.cmd === "pubrec") &&
      packet.reasonCode === noMatchingSubscribers &&
      packet.messageId !== undefined
    )
      this.#unmatched.add(packet.messageId);
  }

  /** Nothing more is sent, and what has no answer fails. */
  fail(error: Error): void {
    this.#failure = error;
    for (const cancel of this.#unheard.values()) cancel();
    for (const { settle } of [...this.#sent, ...this.#unheard.keys(), ...this.#waiting.splice(0).slice(this.#next)]) settle.reject(error);
    this.#sent.clear();
    this.#unheard.clear();
    this.#next = 0;
  }

  async #unlessAborted(waiting: Waiting, signal: AbortSignal): Promise<PublishAnswer> {
    const onAbort = (): void => {
      waiting.isGivenUp = true;
      waiting.settle.reject(signal.reason);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await waiting.settle.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #send(): void {
    const link = this.#options.link();
    while (link.isUp && this.#sent.size < this.#window && this.#next < this.#waiting.length) {
      const waiting = this.#waiting[this.#next];
      this.#next += 1;
      if (waiting !== undefined && !waiting.isGivenUp) this.#sendOne(waiting, link);
    }
    if (this.#next < 1_024 && this.#next < this.#waiting.length) return;
    this.#waiting.splice(0, this.#next);
    this.#next = 0;
  }

  /** Answers come in one by one. What may go for all that are read in this turn goes out in one write: a write for each costs more than all else of it. */
  #sendSoon(): void {
    if (this.#isSending || this.#waiting.length === 0) return;
    this.#isSending = true;
    setImmediate(() => {
      this.#isSending = false;
      this.#send();
    });
  }

  #sendOne(waiting: Waiting, link: Link): void {
    this.#sent.add(waiting);
    link.client.publish(waiting.topic, waiting.payload, waiting.options, (error, packet) => {
      this.#sent.delete(waiting);
      const isUnmatched = packet?.messageId !== undefined && this.#unmatched.delete(packet.messageId);
      if (error) waiting.settle.reject(error);
      else if (isUnmatched && this.#options.clock.now() < this.#recoveredAt) this.#sendAgainLater(waiting);
      else waiting.settle.resolve({ isUnmatched });
      this.#sendSoon();
    });
  }

  #sendAgainLater(waiting: Waiting): void {
    const cancel = this.#options.clock.after(recoveryPause, () => {
      this.#unheard.delete(waiting);
      this.#waiting.push(waiting);
      this.#send();
    });
    this.#unheard.set(waiting, cancel);
  }
}
