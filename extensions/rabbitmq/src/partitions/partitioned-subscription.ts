import type { HeldPartition, PartitionShare, TransportSubscription } from "event-driver/streams";

import type { Locks } from "../locks.ts";
import type { SubscriptionOptions } from "../subscription.ts";
import type { Division, Parts } from "./division.ts";

import { isEventDriverError } from "event-driver";
import { partitionShare } from "event-driver/streams";

import { closed, codeOf } from "../link.ts";
import { partitionOfQueue, queueOf } from "../names.ts";
import { keepTrying } from "../keep-trying.ts";
import { Session } from "../session.ts";
import { isPassing, notConsumable, notRemoved } from "../topology.ts";
import { watchLag } from "../watch-lag.ts";
import { Membership } from "./membership.ts";
import { Room } from "./room.ts";

export interface PartitionedSubscriptionOptions extends SubscriptionOptions {
  readonly locks: Locks;
  readonly division: Division;
  readonly onRebalance: (gained: readonly number[], lost: readonly number[]) => void;
}

/** Milliseconds that handlers have to finish when a partition goes to another member; what they have not done then is lost to them, and comes again there. */
const finishingLimit = 30_000;

/** Consumes as many partitions of a name as are this member's share, each over a channel of its own. */
export class PartitionedSubscription implements TransportSubscription {
  readonly #options: PartitionedSubscriptionOptions;
  readonly #membership: Membership;
  readonly #room: Room;
  readonly #sessions = new Map<number, Session>();
  /** Locks that are of no use to this, but could not be given back. */
  readonly #unfreed = new Set<string>();
  readonly #leaving = new AbortController();
  #share: PartitionShare | undefined;
  #cancelLag: (() => void) | undefined;
  #isStopped = false;
  #left: Promise<void> | undefined;

  constructor(options: PartitionedSubscriptionOptions) {
    const { link, locks, topology, division, request } = options;
    this.#options = options;
    this.#membership = new Membership({ link, locks, topology, division, place: request });
    this.#room = new Room(request.maxInFlight);
  }

  /**
   * Resolves when everything that is published from now on will come, to this member or another one.
   *
   * @throws EventDriverError `ERR_SUBSCRIPTION_BUSY`, `ERR_TOPOLOGY`, `ERR_CONNECTION_CLOSED`
   */
  async open(): Promise<void> {
    const { request, division } = this.#options;
    try {
      if (request.reset) await this.#keepTrying(() => division.forget());
      await this.#keepTrying(() => this.#begin());
    } catch (error) {
      await this.close();
      throw isEventDriverError(error) ? error : notConsumable(request, error);
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#share?.stop();
    for (const session of this.#sessions.values()) session.stop();
  }

  close(): Promise<void> {
    return (this.#left ??= this.#leave(false));
  }

  forget(): Promise<void> {
    return (this.#left ??= this.#leave(true));
  }

  async #begin(): Promise<void> {
    const { request, logger, clock, onLag, onRebalance } = this.#options;
    const parts = await this.#membership.join();
    const count = parts.queues.length;
    if (count === 1)
      this.#warn(undefined, "a name was made without partitions, so one of its members works; unsubscribe it to have it divided");
    this.#share = partitionShare({
      count,
      standing: () => this.#unlessLeaving(this.#membership.standing()),
      take: (partition, lost) => this.#unlessLeaving(this.#take(parts, partition, lost)),
      onChange: ({ gained, lost }) => onRebalance(gained, lost),
      logger: { warn: (fields, text) => logger.warn({ stream: request.stream, name: request.name, ...fields }, text) },
      clock,
    });
    onLag(await this.#membership.countWaiting());
    await this.#share.look();
    if (this.#isStopped) throw closed(this.#options.servers);
    this.#cancelLag = watchLag(
      this.#options,
      () => this.#membership.countWaiting(),
      (error) => this.#warn(error, "how much waits for a name was not counted"),
    );
  }

  /** While the broker is out of reach it is not answered, and leaving cannot wait for that. What is taken after all is given back. */
  async #unlessLeaving<Answer>(asked: Promise<Answer>): Promise<Answer> {
    const { signal } = this.#leaving;
    const left = Promise.withResolvers<never>();
    const leave = (): void => left.reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await Promise.race([asked, left.promise]);
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /** Who had it before may not be done: then the broker still counts its consumer. */
  async #take({ queues }: Parts, partition: number, lost: (reason: unknown) => void): Promise<HeldPartition | undefined> {
    const { request, link, locks, division } = this.#options;
    const [queue = "", lock] = [queues[partition], partitionOfQueue(queueOf(request.stream, request.name), partition)];
    const isOurs = this.#unfreed.delete(lock) && locks.has(lock);
    if (!isOurs && !(await locks.take(lock))) return undefined;
    let session: Session | undefined;
    try {
      const { consumerCount } = await link.ask((channel) => channel.queueDeclare({ queue, passive: true }));
      if (consumerCount === 0) session = await this.#consume(queue, partition);
    } catch (error) {
      await this.#free(lock);
      // Somebody has removed it: it is made again, and taken at the next look.
      if (codeOf(error) !== "NOT_FOUND") throw error;
      await division.need();
      return undefined;
    }
    if (session !== undefined) return this.#hold(partition, session, lock, lost);
    await this.#free(lock);
    return undefined;
  }

  async #free(lock: string): Promise<void> {
    try {
      await this.#options.locks.free(lock);
    } catch (error) {
      this.#unfreed.add(lock);
      this.#warn(error, "a partition was not freed; nobody but this member may have it for now");
    }
  }

  /** `undefined` where this has stopped meanwhile. */
  async #consume(queue: string, partition: number): Promise<Session | undefined> {
    const { request, link } = this.#options;
    // Rounded up, for the room bounds what is handed over. It stays so when shares change: of two consumers, one after another, the broker would mix what goes back.
    const prefetch = Math.ceil(request.maxInFlight / this.#membership.fairShare);
    const place = { queue, prefetch, isOrdered: true, partition: String(partition), room: this.#room };
    const session = new Session(this.#options, await link.channel(), place);
    try {
      await link.answered(session.consume());
    } catch (error) {
      void session.end();
      throw error;
    }
    if (!this.#isStopped) return session;
    await session.end();
    return undefined;
  }

  #hold(partition: number, session: Session, lock: string, lost: (reason: unknown) => void): HeldPartition {
    const { locks } = this.#options;
    this.#sessions.set(partition, session);
    session.begin((error) => {
      this.#drop(partition, session);
      lost(error);
      void this.#free(lock);
    });
    return {
      giveUp: async () => {
        await session.finish(finishingLimit);
        this.#drop(partition, session);
        await locks.free(lock);
      },
    };
  }

  #drop(partition: number, session: Session): void {
    if (this.#sessions.get(partition) === session) this.#sessions.delete(partition);
  }

  async #leave(isForgotten: boolean): Promise<void> {
    const { request, locks, onLeft } = this.#options;
    await this.stop();
    this.#leaving.abort();
    this.#cancelLag?.();
    await this.#share?.close();
    const isRemoved = onLeft() && this.#share !== undefined && (isForgotten || !request.durable);
    try {
      for (const lock of this.#unfreed) await locks.free(lock);
      await this.#membership.leave();
      if (isRemoved) await this.#remove();
    } catch (error) {
      if (isForgotten) throw notRemoved(request, error);
      this.#warn(error, "what a subscription had at the broker stays there for now");
    }
  }

  async #remove(): Promise<void> {
    const { link, servers, division } = this.#options;
    if (!link.isUp) throw closed(servers);
    try {
      await division.forget();
    } catch (error) {
      // Somebody else has the name, so its position stays.
      if (!isEventDriverError(error) || error.code !== "ERR_SUBSCRIPTION_BUSY") throw error;
    }
  }

  #keepTrying(attempt: () => Promise<void>): Promise<void> {
    const { link, servers, clock } = this.#options;
    const onError = (error: unknown): void => this.#warn(error, "the partitions of a name are not consumed; it is tried again");
    return keepTrying({ link, servers, clock, leaving: this.#leaving.signal, mayHelp: isPassing, onError }, attempt);
  }

  #warn(error: unknown, text: string): void {
    const { request, logger } = this.#options;
    logger.warn({ stream: request.stream, name: request.name, ...(error !== undefined && { err: error }) }, text);
  }
}
