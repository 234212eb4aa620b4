import { type Clock, sleep, systemClock } from "../../clock.ts";
import { type Logger, silentLogger } from "../../context.ts";
import { invalidOption } from "../../errors.ts";

/** How one member of a name stands among the others. */
export interface Standing {
  /** How many members the name has, this one included. */
  readonly members: number;
  /** Which of them this one is, counted from 0. For a while two may have the same rank, or one may have none below `members`. */
  readonly rank: number;
}

/** A partition that is this member's, and nobody else's. */
export interface HeldPartition {
  /**
   * Hands over nothing more of the partition, waits for what was handed over, and leaves it to others. Resolves when it is theirs to take. It is called again
   * when it has rejected.
   */
  giveUp(): Promise<void>;
}

export interface PartitionShareOptions {
  /** How many partitions there are, from 1. They are counted from 0. */
  readonly count: number;
  /** Asks the broker how this member stands. */
  readonly standing: () => Promise<Standing>;
  /**
   * Takes a partition for this member alone; `undefined` when somebody else has it. This is what keeps two members off one partition: the broker must decide it,
   * and must free what a dead member had. A call that rejects has taken nothing. It has to end, in some time.
   *
   * `lost` is to be called, at any time from then on, when the partition is no longer this member's without having been given up.
   */
  readonly take: (partition: number, lost: (reason: unknown) => void) => Promise<HeldPartition | undefined>;
  /** Called when partitions have come or gone, but for those that go because it stops. */
  readonly onChange?: (change: { readonly gained: readonly number[]; readonly lost: readonly number[] }) => void;
  /**
   * Milliseconds between two looks at most; each pause is between half of it and all.
   * @default 1_000
   */
  readonly every?: number;
  /**
   * Where the pauses, and where to begin looking for free partitions, come from, in [0, 1). Give a seeded one in tests.
   * @default Math.random
   */
  readonly random?: () => number;
  /** @default silent */
  readonly logger?: Pick<Logger, "warn">;
  /** @default systemClock */
  readonly clock?: Clock;
}

/** The partitions that one member of a name works on. */
export interface PartitionShare {
  /** Those it has, in their order; without those that it is giving up. */
  readonly held: readonly number[];
  /** Looks at once whether it has its share, and from then on every so often. Resolves when it has looked, and rejects never: what fails is logged and tried again. */
  look(): Promise<void>;
  /** Takes nothing more and gives nothing up. What it is about to take it gives back. */
  stop(): void;
  /** Stops, gives up all it has, and resolves when that is done. What fails it tries again some times; then it is left to the broker to free. */
  close(): Promise<void>;
}

/**
 * Keeps one member of a name at its fair share of the partitions: `count / members`, and one more for as many of the lowest ranks as the division leaves over.
 *
 * Use it when you write an adapter for a broker that shares no partitions by itself. Each member looks for itself, without a leader. Who has more than its share gives up
 * the highest ones; who has less takes free ones, beginning somewhere of its own. When nobody comes or goes any more, all partitions are held and no two shares differ
 * by more than one. A dead member's partitions are taken within `every` after the broker has freed them.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example
 * const share = partitionShare({ count: 8, standing: () => broker.standing(name), take: (partition, lost) => consume(partition, lost) });
 * await share.look();
 */
export function partitionShare(options: PartitionShareOptions): PartitionShare {
  return new Share(withDefaults(options));
}

type Settings = Required<Omit<PartitionShareOptions, "onChange">> & Pick<PartitionShareOptions, "onChange">;

function withDefaults(options: PartitionShareOptions): Settings {
  const { every = 1_000, random = Math.random, logger = silentLogger, clock = systemClock } = options;
  if (!Number.isInteger(options.count) || options.count < 1)
    throw invalidOption("partitionShare", "count", options.count, "a whole number from 1");
  if (!(every > 0 && every < Infinity)) throw invalidOption("partitionShare", "every", every, "milliseconds above 0");
  return { ...options, every, random, logger, clock };
}

/** How often it tries to give up what it has when it closes. */
const closingAttempts = 5;

/** What it has of one partition. */
interface Holding {
  readonly partition: number;
  readonly held: HeldPartition;
  isGivenUp: boolean;
  /** Until giving it up has been answered. */
  leaving: Promise<void> | undefined;
}

class Share implements PartitionShare {
  readonly #settings: Settings;
  readonly #holdings = new Map<number, Holding>();
  /** The partitions in the order in which this member looks for free ones. */
  readonly #order: readonly number[];
  readonly #stopped = new AbortController();
  #looking: Promise<void> | undefined;
  #rounds: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(settings: Settings) {
    const { count, random } = settings;
    const first = Math.floor(random() * count);
    this.#settings = settings;
    this.#order = Array.from({ length: count }, (_, index) => (first + index) % count);
  }

  get held(): readonly number[] {
    return this.#kept().map(({ partition }) => partition);
  }

  async look(): Promise<void> {
    if (this.#isStopped) return;
    await this.#lookOnce();
    this.#rounds ??= this.#goRound();
  }

  stop(): void {
    this.#stopped.abort();
  }

  close(): Promise<void> {
    this.stop();
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.#rounds;
    await this.#looking;
    const { every, clock } = this.#settings;
    for (let attempt = 1; this.#holdings.size > 0 && attempt <= closingAttempts; attempt += 1) {
      if (attempt > 1) await sleep(clock, every);
      await Promise.all(Array.from(this.#holdings.values(), (holding) => this.#giveUp(holding)));
    }
  }

  get #isStopped(): boolean {
    return this.#stopped.signal.aborted;
  }

  async #goRound(): Promise<void> {
    const { every, random, clock } = this.#settings;
    while (!this.#isStopped) {
      // Stopping ends the pause, and the loop with it.
      await sleep(clock, every * (0.5 + random() / 2), this.#stopped.signal).catch(() => {});
      if (!this.#isStopped) await this.#lookOnce();
    }
  }

  #lookOnce(): Promise<void> {
    return (this.#looking ??= this.#look().finally(() => (this.#looking = undefined)));
  }

  async #look(): Promise<void> {
    try {
      const share = shareOf(this.#settings.count, await this.#settings.standing());
      if (this.#isStopped) return;
      this.#giveUpAbove(share);
      await this.#takeUpTo(share);
    } catch (error) {
      if (this.#isStopped) return;
      this.#warn(error, {}, "how many share the partitions was not found out; this member keeps what it has and asks again");
    }
  }

  #giveUpAbove(share: number): void {
    for (const holding of this.#kept().slice(share)) holding.isGivenUp = true;
    for (const holding of this.#holdings.values()) if (holding.isGivenUp) void this.#giveUp(holding);
  }

  async #takeUpTo(share: number): Promise<void> {
    const untried = this.#order.filter((partition) => !this.#holdings.has(partition));
    while (!this.#isStopped) {
      const missing = share - this.#kept().length;
      if (missing <= 0 || untried.length === 0) return;
      const gained = await Promise.all(untried.splice(0, missing).map((partition) => this.#take(partition)));
      this.#tell({ gained: gained.filter((partition) => partition !== undefined), lost: [] });
    }
  }

  /** The partition, where it has become ours. */
  async #take(partition: number): Promise<number | undefined> {
    let holding: Holding | undefined;
    let isLost = false;
    const lost = (reason: unknown): void => {
      if (isLost) return;
      isLost = true;
      if (holding !== undefined) this.#lose(holding, reason);
    };
    try {
      const held = await this.#settings.take(partition, lost);
      if (held === undefined || isLost) return undefined;
      holding = { partition, held, isGivenUp: false, leaving: undefined };
      this.#holdings.set(partition, holding);
      if (!this.#isStopped) return partition;
      await this.#giveUp(holding);
    } catch (error) {
      if (!this.#isStopped) this.#warn(error, { partition }, "a partition was not taken; it is tried again");
    }
    return undefined;
  }

  #lose(holding: Holding, reason: unknown): void {
    if (!this.#remove(holding)) return;
    if (!this.#isStopped) this.#warn(reason, { partition: holding.partition }, "a partition was lost");
  }

  #giveUp(holding: Holding): Promise<void> {
    holding.isGivenUp = true;
    return (holding.leaving ??= this.#leave(holding).finally(() => (holding.leaving = undefined)));
  }

  async #leave(holding: Holding): Promise<void> {
    try {
      await holding.held.giveUp();
      this.#remove(holding);
    } catch (error) {
      this.#warn(error, { partition: holding.partition }, "a partition was not given up; nobody else may have it for now");
    }
  }

  #remove(holding: Holding): boolean {
    const { partition } = holding;
    // Lost, given up and taken again: then another holding has its place.
    if (this.#holdings.get(partition) !== holding) return false;
    this.#holdings.delete(partition);
    this.#tell({ gained: [], lost: [partition] });
    return true;
  }

  #kept(): readonly Holding[] {
    const kept = [...this.#holdings.values()].filter(({ isGivenUp }) => !isGivenUp);
    return kept.toSorted((one, other) => one.partition - other.partition);
  }

  #tell(change: { readonly gained: readonly number[]; readonly lost: readonly number[] }): void {
    const isNews = change.gained.length > 0 || change.lost.length > 0;
    if (isNews && !this.#isStopped) this.#settings.onChange?.(change);
  }

  #warn(error: unknown, fields: object, text: string): void {
    this.#settings.logger.warn({ ...fields, err: error }, text);
  }
}

function shareOf(count: number, { members, rank }: Standing): number {
  const all = Math.max(members, 1);
  return Math.floor(count / all) + (rank < count % all ? 1 : 0);
}
