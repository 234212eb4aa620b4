import { setImmediate } from "node:timers";

import { Heap, type HeapItem } from "../../src/heap.ts";

interface Task extends HeapItem {
  readonly at: number;
  readonly sequence: number;
  readonly callback: () => void;
  waiting: boolean;
}

/** The true time of a simulated world, and everything that will happen in it. Nothing waits for real time. */
export class Scheduler {
  readonly #tasks = new Heap<Task>((one, other) => one.at < other.at || (one.at === other.at && one.sequence < other.sequence));
  #now = 0;
  #sequence = 0;

  /** Milliseconds since the world began. */
  get now(): number {
    return this.#now;
  }

  /** Runs `callback` after `delay` milliseconds; calling what it returns stops that. */
  after(delay: number, callback: () => void): () => void {
    const task: Task = { at: this.#now + Math.max(0, delay), sequence: (this.#sequence += 1), callback, waiting: true, place: 0 };
    this.#tasks.push(task);
    return () => {
      if (task.waiting) this.#tasks.remove(task);
      task.waiting = false;
    };
  }

  /** Runs what happens up to `until`, one task after another, each until no promise is left to settle; ends early when `isOver` says so. */
  async run(until: number, isOver: () => boolean): Promise<void> {
    await quiescence();
    while (!isOver()) {
      const task = this.#tasks.first;
      if (task === undefined || task.at > until) break;
      this.#tasks.remove(task);
      task.waiting = false;
      this.#now = Math.max(this.#now, task.at);
      task.callback();
      await quiescence();
    }
    if (!isOver()) this.#now = Math.max(this.#now, until);
  }
}

/** When no promise callback is left to run: the event loop comes to its next phase only then. */
function quiescence(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
