import type { FarBucket } from "./gcs-bucket.ts";
import type { Toxic } from "./gcs-network.ts";

/** Bad weather on the way to a bucket. One kind follows the other, by the progress of the work and not by the time. */
export interface Weather {
  /** Whether all kinds have come, in all rounds, and the weather is fair for good. */
  readonly isFair: boolean;
  /** Ends it for good. */
  clear(): Promise<void>;
}

export interface WeatherOptions {
  readonly bucket: FarBucket;
  /** How many requests reach the service before the next kind comes. */
  readonly lasts: number;
  /** How many times each kind comes. */
  readonly rounds: number;
  /** In [0, 1). */
  readonly random: () => number;
}

/** Begins a kind of weather; resolves to what ends it. */
type Begin = () => Promise<End>;

type End = () => void | Promise<void>;

/** Starts with the first kind; after the last of them, in the last round, it stays fair. */
export async function startWeather({ bucket, lasts, rounds, random }: WeatherOptions): Promise<Weather> {
  const kinds = kindsOfWeather(bucket, random);
  const coming = Array.from({ length: rounds }, () => kinds).flat();
  let requests = 0;

  const begin = (): Promise<End> => (coming.shift() ?? fair)();
  const change = async (end: End): Promise<End> => {
    await end();
    return begin();
  };
  let now = begin();
  const observe = (): boolean => {
    requests += 1;
    if (requests % lasts === 0) now = now.then(change);
    return false;
  };
  const observing = bucket.service.answer({ when: observe, status: 500 });
  await now;

  return {
    get isFair() {
      return coming.length === 0;
    },
    async clear() {
      observing.withdraw();
      const end = await now;
      await end();
    },
  };
}

function kindsOfWeather({ network, service }: FarBucket, random: () => number): readonly Begin[] {
  const poisoned = (toxic: Toxic): Begin => {
    return () => network.poison(toxic).then(() => () => network.heal());
  };
  const ruled = (methods: readonly string[], outcome: { readonly status: number } | { readonly cut: "after" }): Begin => {
    return async () => {
      const rule = service.answer({ when: ({ method }) => methods.includes(method) && random() < 0.4, ...outcome });
      return () => rule.withdraw();
    };
  };
  return [
    poisoned({ type: "latency", toxicity: 1, attributes: { latency: 20, jitter: 20 } }),
    poisoned({ type: "limit_data", toxicity: 0.5, attributes: { bytes: 0 } }),
    ruled(["GET", "POST", "DELETE"], { status: 503 }),
    fair,
    poisoned({ type: "reset_peer", toxicity: 0.5, attributes: { timeout: 0 } }),
    ruled(["POST"], { status: 429 }),
    ruled(["POST"], { cut: "after" }),
  ];
}

const fair: Begin = async () => () => undefined;
