import type { Link } from "./link.ts";

import { codeOf } from "./link.ts";
import { lockOf } from "./names.ts";

/**
 * What a connection has for itself, by name. Quorum queues know no exclusive consumers, so a queue that belongs to the connection stands for that: the broker
 * removes it when the connection ends, however it ends.
 */
export class Locks {
  readonly #link: Link;
  /** In which epoch of the link each was taken. */
  readonly #taken = new Map<string, number>();
  readonly #beingTaken = new Set<string>();

  constructor(link: Link) {
    this.#link = link;
  }

  /** Whether it is ours; never after the connection that took it has ended. */
  has(name: string): boolean {
    return this.#link.isUp && this.#taken.get(name) === this.#link.epoch;
  }

  /** Whether it has become ours: not where somebody has it, of another connection or of this one. */
  async take(name: string): Promise<boolean> {
    // The broker would let the same connection take it twice.
    if (this.has(name) || this.#beingTaken.has(name)) return false;
    this.#beingTaken.add(name);
    try {
      await this.#link.ask(async (channel) => {
        const { epoch } = this.#link;
        await channel.queueDeclare({ queue: lockOf(name), exclusive: true });
        this.#taken.set(name, epoch);
      });
      return this.has(name);
    } catch (error) {
      if (codeOf(error) === "RESOURCE_LOCKED") return false;
      throw error;
    } finally {
      this.#beingTaken.delete(name);
    }
  }

  /** Does nothing where it is not ours. */
  async free(name: string): Promise<void> {
    if (!this.has(name)) return;
    const { epoch } = this.#link;
    await this.#link.ask(async (channel) => {
      if (this.#link.epoch === epoch) await channel.queueDelete({ queue: lockOf(name) });
    });
    if (this.#taken.get(name) === epoch) this.#taken.delete(name);
  }

  /** Whether another connection has it. */
  async areOthers(name: string): Promise<boolean> {
    try {
      await this.#link.ask((channel) => channel.queueDeclare({ queue: lockOf(name), passive: true }));
      return false;
    } catch (error) {
      if (codeOf(error) === "RESOURCE_LOCKED") return true;
      if (codeOf(error) === "NOT_FOUND") return false;
      throw error;
    }
  }
}
