import type { Cluster } from "./cluster.ts";
import type { Arrival, SinkAnswer } from "./order-sink.ts";

/**
 * The moment in which a process is killed: any, or just when the sink has its order in hand and has not taken it, or has taken it and the
 * process does not know.
 */
export type Moment = "any" | "before the sink accepts" | "after the sink has accepted";

export interface Strike {
  readonly moment: Moment;
  /** How many requests are sent between the strike before and this one. */
  readonly after: number;
}

/** Kills processes by the progress of the work, not by the time. */
export interface Killer {
  /** The strikes that were not made yet. */
  readonly left: readonly Strike[];
  /** The orders that the sink had accepted from a process that was killed before it knew. */
  readonly unknowing: readonly string[];
  /** To be awaited in front of every request: it may kill somebody, and goes slow while too few are left. */
  readonly onRequest: () => Promise<void>;
  /** How the sink answers. */
  readonly answer: (arrival: Arrival) => SinkAnswer;
}

/** @param cluster is asked for late, for it needs the sink, whose answers the killer decides */
export function createKiller(strikes: readonly Strike[], cluster: () => Cluster, random: () => number): Killer {
  const left = [...strikes];
  const unknowing: string[] = [];
  let requests = 0;

  const dueMoment = (): Moment | undefined => {
    const [strike] = left;
    return strike !== undefined && requests >= strike.after ? strike.moment : undefined;
  };
  const strikeAt = (name: string | undefined): boolean => {
    const { running, kill } = cluster();
    const victim = running.find((replica) => replica.name === name);
    // One is left to go on, and who was killed before has sent its last request.
    if (victim === undefined || running.length < 2) return false;
    left.shift();
    requests = 0;
    kill(victim);
    return true;
  };

  return {
    left,
    unknowing,
    async onRequest() {
      requests += 1;
      const moment = dueMoment();
      if (moment === undefined) return;
      const { running, whole } = cluster();
      if (running.length < 2) await whole();
      else if (moment === "any") strikeAt(running[Math.floor(random() * running.length)]?.name);
    },
    answer({ from, key }) {
      const moment = dueMoment();
      if (moment === "before the sink accepts" && strikeAt(from)) return "hang up";
      if (moment === "after the sink has accepted" && strikeAt(from)) unknowing.push(key);
      return { status: 204 };
    },
  };
}
