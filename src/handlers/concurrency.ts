import type { PassThrough } from "../pipeline/handler.ts";

import { liveSignal } from "../context.ts";
import { EventDriverError, invalidOption, quote } from "../errors.ts";

export interface ConcurrencyOptions {
  /** How many messages may be behind it at once: of all, or of each key with `byKey`. */
  readonly limit: number;
  /**
   * How many messages may wait, of all keys together.
   * @default 1_000
   */
  readonly queue?: number;
  /**
   * Whether the limit is one for each key by itself. With a limit of 1, the messages of a key then run one after another, as they came.
   * @default false
   */
  readonly byKey?: boolean;
  /**
   * After how many milliseconds the sender of a message that found the queue full is asked to try again.
   * @default 1_000
   */
  readonly retryAfter?: number;
}

/**
 * Lets only so many messages into the stages behind it at once; the others wait their turn, in the order they came.
 *
 * Use it to spare what the stages call, or with `byKey` to keep one key in order where messages come from several callers. It knows only of its
 * own process. A message whose signal aborts leaves the queue; one that is being worked on keeps its place until the stages have returned.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; the message fails with `ERR_OVERLOADED`, retryable, when the queue is full
 * @example pipeline().use(concurrency({ limit: 1, byKey: true })).use(charge)
 */
export function concurrency(options: ConcurrencyOptions): PassThrough {
  const { limit, queue, byKey, retryAfter } = withDefaults(options);
  const gates = new Map<string, Gate>();
  let waiting = 0;

  const gateOf = (name: string): Gate => {
    const gate = gates.get(name) ?? { inside: 0, line: new Set() };
    gates.set(name, gate);
    return gate;
  };

  const waitInLine = async (gate: Gate, id: string, signal: AbortSignal | undefined): Promise<void> => {
    if (waiting >= queue) throw overloaded(id, queue, retryAfter);
    waiting += 1;
    try {
      await turn(gate, signal);
    } finally {
      waiting -= 1;
    }
  };

  /** Hands the place straight to who has waited longest, so that nobody who comes in between can take it. */
  const leave = (gate: Gate, name: string): void => {
    const [first] = gate.line;
    if (first !== undefined) return first();
    gate.inside -= 1;
    if (gate.inside === 0) gates.delete(name);
  };

  return {
    traits: { name: "concurrency" },
    async process(ctx, message, next) {
      const signal = liveSignal(ctx);
      signal?.throwIfAborted();
      const name = byKey ? message.key : "";
      const gate = gateOf(name);
      if (gate.inside < limit) gate.inside += 1;
      else await waitInLine(gate, message.id, signal);
      try {
        await next(ctx, message);
      } finally {
        leave(gate, name);
      }
    },
  };
}

interface Gate {
  inside: number;
  /** In order of arrival; calling one gives it a place. */
  readonly line: Set<() => void>;
}

function withDefaults({ limit, queue = 1_000, byKey = false, retryAfter = 1_000 }: ConcurrencyOptions): Required<ConcurrencyOptions> {
  if (!Number.isInteger(limit) || limit < 1) throw invalidOption("concurrency", "limit", limit, "a whole number from 1");
  if (queue !== Infinity && !(Number.isInteger(queue) && queue >= 0))
    throw invalidOption("concurrency", "queue", queue, "a whole number from 0, or Infinity");
  if (!(retryAfter >= 0)) throw invalidOption("concurrency", "retryAfter", retryAfter, "milliseconds from 0");
  return { limit, queue, byKey, retryAfter };
}

function turn(gate: Gate, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const leaveLine = (): void => {
      gate.line.delete(onTurn);
      signal?.removeEventListener("abort", onAbort);
    };
    const onTurn = (): void => {
      leaveLine();
      resolve();
    };
    const onAbort = (): void => {
      leaveLine();
      reject(signal?.reason);
    };
    gate.line.add(onTurn);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

function overloaded(id: string, queue: number, retryAfter: number): EventDriverError {
  return new EventDriverError("ERR_OVERLOADED", {
    message: `message ${quote(id)} found ${queue} others waiting, which is the limit; deliver it again later`,
    retryable: true,
    retryAfter,
  });
}
