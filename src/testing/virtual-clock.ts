import { setImmediate } from "node:timers";

import type { Clock } from "../clock.ts";

import { invalidOption } from "../errors.ts";
import { Heap, type HeapItem } from "../heap.ts";

export interface VirtualClockOptions {
  /**
   * Where it starts, in epoch milliseconds.
   * @default 0
   */
  readonly now?: number;
}

/** A clock that stands still until it is told to move. */
export interface VirtualClock extends Clock {
  /** How many timers wait to fire. */
  readonly pending: number;
  /**
   * Moves on by `delay` milliseconds and fires what falls due on the way, timers set meanwhile included.
   *
   * Timers fire one by one, by time and then in the order they were set. Before each of them, and at the end, everything runs that does
   * not wait for a timer, so that what one timer has set off is finished before the next one fires.
   */
  advance(delay: number): Promise<void>;
  /** Moves on to the next timer and fires only that. `false` when there is none. */
  runNext(): Promise<boolean>;
}

/**
 * A clock for tests: nothing waits for real time, and the same calls always give the same order.
 *
 * It waits for promises, not for input and output: what reads files or sockets may go on after `advance` has returned.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example
 * const clock = virtualClock();
 * const run = pipeline().use(retry({ maxAttempts: 2 })).use(charge).process(createContext({ clock }), message);
 * await clock.advance(100);
 */
export function virtualClock({ now: start = 0 }: VirtualClockOptions = {}): VirtualClock {
  if (!Number.isFinite(start)) throw invalidOption("virtualClock", "now", start, "epoch milliseconds");
  const timers = new Heap<Timer>(firesBefore);
  let now = start;
  let timersSet = 0;

  const fireNext = (until: number): boolean => {
    const timer = timers.first;
    if (timer === undefined || timer.at > until) return false;
    timers.remove(timer);
    timer.waiting = false;
    now = Math.max(now, timer.at);
    timer.callback();
    return true;
  };

  return {
    now: () => now,
    after(delay, callback) {
      const timer: Timer = { at: now + (delay > 0 ? delay : 0), sequence: timersSet, callback, waiting: true, place: 0 };
      timersSet += 1;
      timers.push(timer);
      return () => {
        if (timer.waiting) timers.remove(timer);
        timer.waiting = false;
      };
    },
    get pending() {
      return timers.size;
    },
    async advance(delay) {
      if (!(delay >= 0)) throw invalidOption("virtualClock", "delay of advance", delay, "milliseconds from 0");
      const until = now + delay;
      do await quiescence();
      while (fireNext(until));
      now = Math.max(now, until);
    },
    async runNext() {
      await quiescence();
      const fired = fireNext(Infinity);
      if (fired) await quiescence();
      return fired;
    },
  };
}

interface Timer extends HeapItem {
  readonly at: number;
  /** How many were set before it: what decides between timers of one time. */
  readonly sequence: number;
  readonly callback: () => void;
  waiting: boolean;
}

function firesBefore(one: Timer, other: Timer): boolean {
  return one.at < other.at || (one.at === other.at && one.sequence < other.sequence);
}

/** When no promise callback is left to run: the event loop comes to its next phase only then. */
function quiescence(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
