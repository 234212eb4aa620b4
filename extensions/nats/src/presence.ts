import type { Msg, Subscription } from "@nats-io/transport-node";

import { errors, RequestError } from "@nats-io/transport-node";
import { EventDriverError, quote, type Logger } from "event-driver";

import type { Link } from "./link.ts";

/** How long members that are there have to say so, in milliseconds. */
const patience = 2_000;
/** How long one that wants to be alone listens for others that want the same at the same moment, in milliseconds. */
const contest = 250;

export interface PresenceOptions {
  readonly link: Link;
  readonly logger: Logger;
  /** Of this member. */
  readonly id: string;
  readonly stream: string;
  readonly name: string;
  /** What stands at the beginning of the subjects that members answer on. */
  readonly subject: string;
  readonly isAlone: boolean;
}

/**
 * Who is subscribed under a name. Each member answers on a subject; where nobody does, the broker says so at once.
 *
 * It needs no storage and no lease: a member whose connection is gone does not answer any more. Members that share a name and those that want it alone have a
 * subject each, so that who comes to share is never kept waiting by others that do.
 */
export class Presence {
  readonly #options: PresenceOptions;
  #answering: Subscription | undefined;

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /** @throws EventDriverError `ERR_SUBSCRIPTION_BUSY` */
  async join({ reset }: { readonly reset: boolean }): Promise<void> {
    const { link, isAlone } = this.#options;
    if ((isAlone || reset) && (await this.#isAnyone())) throw this.#busy();
    // First to be seen, then to look: of two that come at the same moment at least one sees the other.
    this.#answering = link.client.subscribe(this.#subject(isAlone), { callback: (error, request) => this.#answer(error, request) });
    try {
      await link.flushed();
      if (await this.#isConflict()) throw this.#busy();
    } catch (error) {
      this.leave();
      throw error;
    }
  }

  /** Whether somebody has taken what is ours while we were away. */
  async check(): Promise<EventDriverError | undefined> {
    return (await this.#isConflict()) ? this.#busy() : undefined;
  }

  leave(): void {
    this.#answering?.unsubscribe();
    this.#answering = undefined;
  }

  /** Whether there are others, for one that has left. */
  async isDeserted(): Promise<boolean> {
    await this.#options.link.flushed();
    return !(await this.#isAnyone());
  }

  async #isAnyone(): Promise<boolean> {
    const [shared, alone] = await Promise.all([this.#isHeard(this.#subject(false)), this.#isHeard(this.#subject(true))]);
    return shared || alone;
  }

  async #isConflict(): Promise<boolean> {
    if (!this.#options.isAlone) return this.#isHeard(this.#subject(true));
    return (await this.#isHeard(this.#subject(false))) || (await this.#isContested());
  }

  async #isHeard(subject: string): Promise<boolean> {
    const { link } = this.#options;
    try {
      await link.answer(() => link.client.request(subject, "", { timeout: patience }));
      return true;
    } catch (error) {
      if (error instanceof RequestError && error.isNoResponders()) return false;
      // Somebody is there, and busy.
      if (error instanceof errors.TimeoutError) return true;
      throw error;
    }
  }

  /** Whether anyone but us answers where those do that want to be alone. */
  async #isContested(): Promise<boolean> {
    const { link, id } = this.#options;
    const answers = await link.answer(() => link.client.requestMany(this.#subject(true), "", { strategy: "timer", maxWait: contest }));
    for await (const answer of answers) {
      if (answer.string() !== id) return true;
    }
    return false;
  }

  #answer(error: Error | null, request: Msg): void {
    const { logger, id, stream, name } = this.#options;
    if (error === null) return void request.respond(id);
    logger.error({ stream, name, err: error }, "a subscription cannot be seen by others, so that none can have its name alone");
  }

  #subject(isAlone: boolean): string {
    return `${this.#options.subject}.${isAlone ? "alone" : "shared"}`;
  }

  #busy(): EventDriverError {
    const { stream, name } = this.#options;
    return new EventDriverError("ERR_SUBSCRIPTION_BUSY", {
      message: `name ${quote(name)} of stream ${quote(stream)} has other subscriptions, and one of them all wants it alone; close the others or try again`,
      retryable: true,
    });
  }
}
