import type { Clock, Logger } from "event-driver";

import { invalidOption, silentLogger, systemClock } from "event-driver";
import { subscribe } from "node:diagnostics_channel";
import { Server, ServerResponse } from "node:http";
import { constants } from "node:os";

export interface DrainOptions {
  /** @default ["SIGTERM", "SIGINT"] */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  /**
   * Milliseconds that requests in flight are given. Google kills an instance 10 seconds after its signal.
   * @default 8_000
   */
  readonly limit?: number | undefined;
  /** Runs when nothing is in flight any more, for example `() => store.close()`. */
  readonly onDrained?: (() => unknown) | undefined;
  /** @default silent */
  readonly logger?: Logger | undefined;
  /** @default systemClock */
  readonly clock?: Clock | undefined;
}

/**
 * Finishes the requests that are in flight when the process is asked to end. By itself the functions framework answers the newest of them with
 * 500 and exits at once, so that Google delivers all of them again.
 *
 * Call it once, where the functions are registered. When the first request arrives it takes the signals from whoever has listened until then, and
 * hands a signal on when it is done: the framework then exits as it always does. Where nobody has listened the process ends by itself, when
 * nothing else keeps it open. A second signal is handed on at once.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example drainOnSignals({ onDrained: () => store.close() });
 */
export function drainOnSignals(options: DrainOptions = {}): void {
  const { signals = ["SIGTERM", "SIGINT"], limit = 8_000, onDrained, logger = silentLogger, clock = systemClock } = options;
  if (!(limit >= 0)) throw invalidOption("drainOnSignals", "limit", limit, "milliseconds from 0");
  const traffic = watchTraffic(() => {
    for (const signal of signals) takeOver(signal);
  });
  let draining: Promise<void> | undefined;

  const drain = async (): Promise<void> => {
    const finished = await within(traffic.stop(), limit, clock);
    if (!finished) logger.warn({ limit }, "not every request in flight finished in time; those are cut off and delivered again");
    try {
      await onDrained?.();
    } catch (error) {
      logger.error({ err: error }, "what was to run after the last request failed");
    }
    traffic.cut();
  };

  const takeOver = (signal: NodeJS.Signals): void => {
    const former = process.rawListeners(signal);
    const handOn = (): void => {
      for (const listener of former) Reflect.apply(listener, process, [signal, constants.signals[signal]]);
    };
    process.removeAllListeners(signal);
    process.on(signal, () => {
      if (draining !== undefined) return handOn();
      draining = drain();
      void draining.then(handOn);
    });
  };
}

/** What comes in over all HTTP servers of the process. */
interface Traffic {
  /** Takes no more connections, and closes each after its answer. Resolves when nothing is unanswered. */
  stop(): Promise<void>;
  /** Closes every connection. */
  cut(): void;
}

/** Node's own channel tells of every request, so that the framework's server need not be known. */
function watchTraffic(onFirst: () => void): Traffic {
  const servers = new Set<Server>();
  const open = new Set<ServerResponse>();
  const answered = Promise.withResolvers<void>();
  let stopping = false;

  const settle = (): void => {
    if (stopping && open.size === 0) answered.resolve();
  };

  subscribe("http.server.request.start", (event) => {
    if (!isRequestStart(event)) return;
    const { server, response } = event;
    if (servers.size === 0) onFirst();
    servers.add(server);
    open.add(response);
    response.once("close", () => {
      open.delete(response);
      settle();
    });
    if (stopping) response.setHeader("connection", "close");
  });

  return {
    stop() {
      stopping = true;
      for (const server of servers) server.close();
      for (const response of open) if (!response.headersSent) response.setHeader("connection", "close");
      settle();
      return answered.promise;
    },
    cut() {
      for (const server of servers) server.closeAllConnections();
    },
  };
}

function isRequestStart(event: unknown): event is { readonly server: Server; readonly response: ServerResponse } {
  return (
    typeof event === "object" &&
    event !== null &&
    "server" in event &&
    event.server instanceof Server &&
    "response" in event &&
    event.response instanceof ServerResponse
  );
}

/** Whether it is done before so many milliseconds have passed. */
function within(done: Promise<unknown>, time: number, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const stop = clock.after(time, () => resolve(false));
    void done.then(() => {
      stop();
      resolve(true);
    });
  });
}
