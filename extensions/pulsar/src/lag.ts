import type { TransportListener } from "event-driver/streams";

import type { Admin } from "./admin.ts";
import type { PulsarSettings } from "./options.ts";
import type { Subscriber } from "./subscriber.ts";

export interface LagOptions {
  readonly settings: Pick<PulsarSettings, "clock" | "logger" | "lagInterval">;
  readonly admin: Admin;
  /** Those to look after. */
  readonly subscribers: ReadonlySet<Subscriber>;
  readonly tell: TransportListener["lag"];
}

/** Asks now and then how many messages wait for each subscription: one question for each topic, whoever subscribes to it. */
export class Lag {
  readonly #options: LagOptions;
  #cancel: (() => void) | undefined;

  constructor(options: LagOptions) {
    this.#options = options;
  }

  /** Begins, unless it does already. It ends by itself with the last subscriber. */
  start(): void {
    const { settings, admin } = this.#options;
    if (!admin.isThere || settings.lagInterval === Infinity) return;
    this.#cancel ??= settings.clock.after(settings.lagInterval, () => void this.#look());
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  async #look(): Promise<void> {
    const { settings, subscribers } = this.#options;
    const looking = this.#cancel;
    for (const [topic, ofTopic] of Map.groupBy(subscribers, (subscriber) => subscriber.topic)) {
      try {
        await this.#lookAt(topic, ofTopic);
      } catch (error) {
        settings.logger.warn({ topic, err: error }, "how many messages wait was not found out; it is looked at again");
      }
    }
    // It may have been stopped meanwhile.
    if (this.#cancel !== looking) return;
    this.#cancel = undefined;
    if (subscribers.size > 0) this.start();
  }

  async #lookAt(topic: string, ofTopic: readonly Subscriber[]): Promise<void> {
    const { admin, subscribers, tell } = this.#options;
    const backlogs = await admin.backlogsOf(topic);
    for (const subscriber of ofTopic) {
      const messages = backlogs.get(subscriber.subscription);
      if (messages !== undefined && subscribers.has(subscriber)) tell({ stream: subscriber.stream, name: subscriber.name, messages });
    }
  }
}
