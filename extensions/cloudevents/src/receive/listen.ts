import { type Clock, invalidOption, type Processor, startSweeping } from "event-driver";
import { createServer, type Server } from "node:http";

import type { EventHandlerSettings } from "./settings.ts";

import { createEventHandler } from "./event-handler.ts";
import { requestListener } from "./request-listener.ts";
import { slowResponses } from "./slow-responses.ts";

export interface ListenOptions {
  /**
   * Port to listen on; 0 for any that is free.
   * @default 8080
   */
  readonly port?: number | undefined;
  /**
   * Address to listen on. `"0.0.0.0"` and `"::"` are reached from other machines, as a container has to be.
   * @default "127.0.0.1"
   */
  readonly host?: string | undefined;
  /** Closes the server when it aborts, as `close` does. */
  readonly signal?: AbortSignal | undefined;
}

/** A server that receives events. */
export interface Listening {
  /** For example `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly port: number;
  /**
   * Drains, then closes: meanwhile the server still listens, answers its health with 503 and new events with 503 and `Retry-After`, while
   * what is in flight finishes. After `limit` milliseconds that is made to give up and answered with 503, so that it comes again.
   *
   * Idempotent; every call resolves when the last connection is closed and the sweep has stopped.
   */
  close(options?: { readonly limit?: number }): Promise<void>;
  /** Resolves when it has been closed, by whomever. */
  readonly closed: Promise<void>;
}

/** What only a server of our own has. */
export interface ServerSettings {
  readonly headerBytes: number;
  readonly sweep: { readonly every: number } | false;
  readonly drainTime: number;
}

/** Time for the last answers to reach their senders when what was in flight has given up, in milliseconds. */
const farewell = 1_000;

/** Starts a server for a pipeline, and sweeps that as long as it runs. */
export async function startListening(
  pipeline: Processor,
  settings: EventHandlerSettings,
  { headerBytes, sweep, drainTime }: ServerSettings,
  { port = 8080, host = "127.0.0.1", signal }: ListenOptions = {},
): Promise<Listening> {
  if (!(Number.isInteger(port) && port >= 0 && port < 65_536))
    throw invalidOption("listen", "port", port, "a whole number from 0 to 65535");
  signal?.throwIfAborted();
  const { clock, logger, requestTime } = settings;
  const handler = createEventHandler(pipeline, settings);
  const responses = slowResponses();
  const server = createServer(
    {
      maxHeaderSize: headerBytes,
      requestTimeout: requestTime,
      headersTimeout: requestTime,
      connectionsCheckingInterval: Math.min(1_000, requestTime),
    },
    requestListener(handler, responses.watch),
  );
  const bound = await bind(server, port, host);
  const sweeping = sweep === false ? undefined : startSweeping(pipeline, { every: sweep.every, signal: handler.signal, logger, clock });

  const drain = async (limit: number): Promise<void> => {
    handler.stop();
    const swept = sweeping?.stop();
    const finished = Promise.all([handler.idle(), swept]).then(responses.written);
    if (!(await within(finished, limit, clock))) {
      logger.warn({ limit }, "not everything in flight finished in time; it gives up and is to be sent again");
      handler.abort();
    }
    const unbound = new Promise((resolve) => server.close(resolve));
    if (!(await within(unbound, farewell, clock))) server.closeAllConnections();
    await unbound;
  };

  const closed = Promise.withResolvers<void>();
  let closing = false;
  const close = ({ limit = drainTime }: { readonly limit?: number } = {}): Promise<void> => {
    if (!closing) {
      closing = true;
      signal?.removeEventListener("abort", onAbort);
      void drain(limit).then(closed.resolve);
    }
    return closed.promise;
  };
  const onAbort = (): void => void close();
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();

  return { url: urlOf(host, bound), port: bound, close, closed: closed.promise };
}

async function bind(server: Server, port: number, host: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}

function urlOf(host: string, port: number): string {
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Whether it is done before so many milliseconds have passed. */
function within(done: Promise<unknown>, time: number, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const stop = clock.after(time, () => resolve(false));
    const finish = (): void => {
      stop();
      resolve(true);
    };
    void done.then(finish, finish);
  });
}
