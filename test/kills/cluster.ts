import type { OrderSink } from "./order-sink.ts";
import type { Timeline } from "./timeline.ts";

import { type OrderService, type ServiceEnvironment, startOrderService } from "./order-service.ts";

/** One process of several on the same store. */
export interface Replica {
  readonly name: string;
  readonly url: string;
  readonly service: OrderService;
}

/** Several processes that serve orders from one store. Who dies is replaced by a new one, under a new name and on another port. */
export interface Cluster {
  /** Those that can be sent to. */
  readonly running: readonly Replica[];
  /** When each was killed, on the timeline of the test. */
  readonly killedAt: ReadonlyMap<string, number>;
  /** Ends it with SIGKILL, and starts another. */
  readonly kill: (replica: Replica) => void;
  /** Has it drain by SIGTERM, and starts another when it has ended. Resolves to how it ended. */
  readonly replace: (replica: Replica) => Promise<number | NodeJS.Signals | null>;
  /** Resolves when all are running again. */
  readonly whole: () => Promise<void>;
  /** Has all of them drain. Resolves to how each ended. */
  readonly stop: () => Promise<readonly (number | NodeJS.Signals | null)[]>;
}

export interface ClusterOptions {
  /** The address of the store, as `STORE` gives it to the service. */
  readonly store: string;
  /**
   * The address of a broker that they take events from, as `SOURCE` gives it. Who finds it silent for too long ends; another is started then, as an
   * orchestrator does.
   */
  readonly source?: string;
  readonly size: number;
  readonly sink: OrderSink;
  readonly timeline: Timeline;
}

export async function startCluster({ store, source = "", size, sink, timeline }: ClusterOptions): Promise<Cluster> {
  const running: Replica[] = [];
  const starting = new Set<Promise<void>>();
  const killedAt = new Map<string, number>();
  let started = 0;

  const start = (): Promise<void> => {
    started += 1;
    const name = `process-${started}`;
    const environment = { PORT: "0", STORE: store, SOURCE: source, K_SINK: sink.addressFor(name), LOG_LEVEL: "fatal" };
    const ready = startedIn(environment, source === "" ? 1 : startsWithSource).then(({ url, service }) => {
      running.push({ name, url, service });
      starting.delete(ready);
    });
    starting.add(ready);
    return ready;
  };
  const remove = (replica: Replica): void => void running.splice(running.indexOf(replica), 1);
  const whole = async (): Promise<void> => {
    while (starting.size > 0) await Promise.all(starting);
  };

  await Promise.all(Array.from({ length: size }, start));
  return {
    running,
    killedAt,
    whole,
    kill(replica) {
      remove(replica);
      killedAt.set(replica.name, timeline.next());
      replica.service.signal("SIGKILL");
      // A failed start is reported by `whole`.
      start().catch(() => {});
    },
    async replace(replica) {
      replica.service.signal("SIGTERM");
      const how = await replica.service.ended;
      remove(replica);
      await start();
      return how;
    },
    async stop() {
      await whole();
      for (const { service } of running) service.signal("SIGTERM");
      return Promise.all(running.map(({ service }) => service.ended));
    },
  };
}

/** How often one is started while the broker it shall take from is away: each time it waits ten seconds for it. */
const startsWithSource = 4;

async function startedIn(environment: ServiceEnvironment, starts: number): Promise<Omit<Replica, "name">> {
  const service = startOrderService(environment);
  try {
    return { url: await service.ready(), service };
  } catch (error) {
    if (starts === 1) throw error;
    return startedIn(environment, starts - 1);
  }
}
