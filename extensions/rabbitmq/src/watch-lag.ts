import type { Clock } from "event-driver";

export interface LagOptions {
  readonly clock: Clock;
  /** Milliseconds between two looks; `Infinity` for none. */
  readonly lagInterval: number;
  readonly onLag: (messages: number) => void;
}

/** Tells every so often how many messages wait. Calling what it returns ends that. */
export function watchLag(
  { clock, lagInterval, onLag }: LagOptions,
  count: () => Promise<number>,
  onError: (error: unknown) => void,
): () => void {
  if (lagInterval === Infinity) return () => {};
  let cancel = (): void => {};
  const watch = (): void => {
    cancel = clock.after(lagInterval, () => {
      watch();
      // A channel that cannot answer is ended, and that is dealt with.
      count().then(onLag, onError);
    });
  };
  watch();
  return () => cancel();
}
