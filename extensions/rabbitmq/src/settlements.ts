import type { Channel } from "rabbitmq-client";

import { setImmediate } from "node:timers/promises";

/** What it needs of a channel of the client. */
export type SettlementChannel = Pick<Channel, "active" | "basicAck" | "basicNack">;

/** Tells the broker what became of the deliveries of a channel: of those that are done in one turn as much as can be at once, which is most of its work. */
export class Settlements {
  readonly #channel: SettlementChannel;
  /** The tags that the broker waits for a word on, in their order. */
  readonly #open = new Set<number>();
  readonly #done = new Set<number>();
  #telling: Promise<void> | undefined;

  constructor(channel: SettlementChannel) {
    this.#channel = channel;
  }

  delivered(tag: number): void {
    this.#open.add(tag);
  }

  /** Resolves when the broker was told. It does not answer to that. */
  ack(tag: number): Promise<void> {
    this.#done.add(tag);
    return (this.#telling ??= setImmediate().then(() => this.flush()));
  }

  giveBack(tag: number): void {
    this.#open.delete(tag);
    this.#channel.basicNack({ deliveryTag: tag, requeue: true });
  }

  flush(): void {
    this.#telling = undefined;
    if (!this.#channel.active) return;
    let last: number | undefined;
    for (const tag of this.#open) {
      if (!this.#done.delete(tag)) break;
      this.#open.delete(tag);
      last = tag;
    }
    if (last !== undefined) this.#channel.basicAck({ deliveryTag: last, multiple: true });
    for (const tag of this.#done) {
      this.#open.delete(tag);
      this.#channel.basicAck({ deliveryTag: tag });
    }
    this.#done.clear();
  }
}
