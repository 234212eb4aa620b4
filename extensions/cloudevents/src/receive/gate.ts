/** Lets so many requests in, and so many of those run at the same time; the rest wait in the order they came. */
export interface Gate {
  /** How many are in, running or not. */
  readonly inside: number;
  /** Whether there was a place; who has got one must `leave`. */
  enter(): boolean;
  leave(): void;
  /** Runs a task as soon as fewer than `concurrency` others run. */
  run<Result>(task: () => Promise<Result>): Promise<Result>;
  /** Resolves when nobody is inside. */
  empty(): Promise<void>;
}

/** A gate for `concurrency` running and `queue` more. Counting at the door, before a body is read, is what bounds the memory. */
export function createGate(concurrency: number, queue: number): Gate {
  const waiting: (() => void)[] = [];
  const watching: (() => void)[] = [];
  let inside = 0;
  let running = 0;

  const finish = (): void => {
    const next = waiting.shift();
    // The place goes from one to the next without being free in between.
    if (next === undefined) running -= 1;
    else next();
  };

  return {
    get inside() {
      return inside;
    },
    enter() {
      if (inside >= concurrency + queue) return false;
      inside += 1;
      return true;
    },
    leave() {
      inside -= 1;
      if (inside === 0) for (const resolve of watching.splice(0)) resolve();
    },
    async run(task) {
      if (running < concurrency) running += 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return await task();
      } finally {
        finish();
      }
    },
    async empty() {
      if (inside > 0) await new Promise<void>((resolve) => watching.push(resolve));
    },
  };
}
