import type { Binding } from "@event-driver/cloudevents/bindings";
import type { JetStreamManager } from "@nats-io/jetstream";
import { type Clock, EventDriverError, isEventDriverError, type Logger, quote } from "event-driver";
import {
  type HeldPartition,
  type PartitionShare,
  partitionShare,
  type Sink,
  type Standing,
  type SubscribeRequest,
  type TransportListener,
  type TransportSubscription,
} from "event-driver/streams";
import { randomUUID } from "node:crypto";

import type { Link } from "../link.ts";
import type { NatsNative } from "../options.ts";
import type { Position } from "../positions.ts";
import type { Presence } from "../presence.ts";
import type { Topology } from "../topology.ts";

import { Budget } from "../budget.ts";
import { Puller } from "../puller.ts";
import { type Lease, Leases, leaseSubjects } from "./leases.ts";
import { Tenure } from "./tenure.ts";

export interface PartitionedSubscriptionOptions {
  readonly request: SubscribeRequest<NatsNative>;
  /** One for each partition. */
  readonly positions: readonly Position[];
  readonly sink: Sink;
  readonly binding: Binding;
  readonly link: Link;
  readonly manager: JetStreamManager;
  readonly topology: Topology;
  readonly presence: Presence;
  /** What stands at the beginning of the subjects of its name's leases. */
  readonly leases: string;
  readonly apiPrefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tellLag: TransportListener["lag"];
  readonly tellRebalance: TransportListener["rebalance"];
  readonly onEnded: () => void;
}

/** Milliseconds for an answer to a goodbye. */
const goodbye = 2_000;
/** Milliseconds for what was handed over of a partition that is given up. What is not settled by then is taken from whoever handles it. */
const giveUpLimit = 30_000;
/** What stands before those members in the names of leases that are no partitions. */
const memberMark = "member.";

/** A partition that this member has. */
interface Holding {
  readonly puller: Puller;
  readonly lease: Lease;
  /** How many messages come behind the last one. */
  lag: number;
}

/**
 * One member of a name of a stream with partitions: works on its share of them, one position each.
 *
 * Whose a partition is, is said by a lease. Its holder stops as soon as that may be over, and whoever has it next begins with what the last one has not settled.
 */
export class PartitionedSubscription implements TransportSubscription {
  readonly #options: PartitionedSubscriptionOptions;
  readonly #leases: Leases;
  readonly #share: PartitionShare;
  readonly #budget: Budget;
  readonly #holdings = new Map<number, Holding>();
  /** By seniority: who comes takes nothing from those who have no more than their share. */
  readonly #memberName: string;
  #member: Lease | undefined;
  /** The leases of all members, as they were when they were last asked for. */
  #taken: ReadonlySet<string> = new Set();
  #isLeaving = false;
  #stopping: Promise<void> | undefined;
  #leaving: Promise<void> | undefined;

  constructor(options: PartitionedSubscriptionOptions) {
    const { request, positions, link, manager, clock, logger, tellRebalance } = options;
    const { stream, name, maxInFlight } = request;
    const id = randomUUID();
    this.#options = options;
    this.#memberName = `${memberMark}${String(clock.now()).padStart(16, "0")}-${id}`;
    this.#budget = new Budget(maxInFlight);
    this.#leases = new Leases({ link, manager, clock, logger, subject: options.leases, holder: id });
    this.#share = partitionShare({
      count: positions.length,
      standing: () => this.#standing(),
      take: (partition, lost) => this.#take(partition, lost),
      onChange: ({ gained, lost }) => tellRebalance({ stream, name, gained: gained.map(String), lost: lost.map(String) }),
      clock,
      logger,
    });
  }

  /**
   * Resolves when it has taken what is free of its share.
   *
   * @throws EventDriverError `ERR_CONNECTION_FAILED`
   */
  async begin(): Promise<void> {
    try {
      await this.#join();
    } catch (error) {
      this.#leases.close();
      throw isEventDriverError(error) ? error : notJoined(this.#options.request, error);
    }
    await this.#share.look();
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  close(): Promise<void> {
    const [first] = this.#options.positions;
    return (this.#leaving ??= this.#leave(first?.isTransient === true));
  }

  forget(): Promise<void> {
    return (this.#leaving ??= this.#leave(true));
  }

  async #join(): Promise<void> {
    const left = (): void => void (this.#member = undefined);
    this.#member ??= await this.#leases.take(this.#memberName, left);
  }

  async #standing(): Promise<Standing> {
    // While it was cut off it may have been forgotten.
    await this.#join();
    const taken = await this.#leases.taken();
    this.#taken = new Set(taken);
    const members = taken.filter((each) => each.startsWith(memberMark)).toSorted();
    const rank = members.indexOf(this.#memberName);
    return { members: members.length, rank: rank === -1 ? members.length : rank };
  }

  async #take(partition: number, onLost: (reason: unknown) => void): Promise<HeldPartition | undefined> {
    if (this.#taken.has(String(partition))) return undefined;
    const lease = await this.#leases.take(String(partition), (reason) => {
      this.#abandon(partition);
      onLost(reason);
    });
    if (lease === undefined) return undefined;
    const holding = this.#hold(partition, lease);
    return { giveUp: () => this.#giveUp(partition, holding) };
  }

  #hold(partition: number, lease: Lease): Holding {
    const { request, positions, sink, binding, link, topology, apiPrefix, clock, logger } = this.#options;
    const position = positions[partition];
    if (position === undefined) throw new RangeError(`there is no partition ${partition}`);
    const holding: Holding = {
      lease,
      lag: 0,
      puller: new Puller({
        request,
        position,
        sink: { deliver: (inbound) => sink.deliver(inbound), lost: (error) => this.#end(error) },
        binding,
        link,
        topology,
        membership: alone,
        budget: this.#budget,
        tenure: new Tenure({ partition: String(partition), lease, link, clock, isOrdered: request.isOrdered }),
        apiPrefix,
        clock,
        logger,
        tellLag: ({ messages }) => this.#tellLag(holding, messages),
        onEnded: () => {},
      }),
    };
    this.#holdings.set(partition, holding);
    return holding;
  }

  /** The lease is over: whoever has it next may begin at any time. */
  #abandon(partition: number): void {
    const holding = this.#holdings.get(partition);
    this.#holdings.delete(partition);
    holding?.puller.abandon(`partition ${partition} is no longer its`);
  }

  /** In this order, so that nobody begins before we have ended. */
  async #giveUp(partition: number, holding: Holding): Promise<void> {
    const { link } = this.#options;
    const { puller, lease } = holding;
    await puller.stop();
    if (!this.#isLeaving) await link.within(giveUpLimit, puller.idle());
    await puller.close();
    // It may have been lost meanwhile, and taken anew.
    if (this.#holdings.get(partition) === holding) this.#holdings.delete(partition);
    await this.#release(lease);
  }

  /** One that cannot be released now ends by itself. */
  async #release(lease: Lease | undefined): Promise<void> {
    const { link } = this.#options;
    if (lease !== undefined && link.isUp) await link.within(goodbye, lease.release());
  }

  /** A position was removed at the broker, so that nobody can go on. */
  #end(error: unknown): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#options.sink.lost(error);
    void this.#options.link.within(goodbye, this.close());
  }

  async #stop(): Promise<void> {
    this.#share.stop();
    await Promise.all(Array.from(this.#holdings.values(), ({ puller }) => puller.stop()));
  }

  async #leave(isForgotten: boolean): Promise<void> {
    const { link, presence, topology, positions, onEnded } = this.#options;
    this.#isLeaving = true;
    await this.stop();
    await this.#share.close();
    await this.#release(this.#member);
    this.#leases.close();
    presence.leave();
    onEnded();
    if (isForgotten && link.isUp && (await presence.isDeserted()))
      await Promise.all(positions.map(({ place, name }) => topology.remove(place, name)));
    else await link.farewell();
  }

  #tellLag(holding: Holding, messages: number): void {
    const { request, tellLag } = this.#options;
    holding.lag = messages;
    let sum = 0;
    for (const { lag } of this.#holdings.values()) sum += lag;
    tellLag({ stream: request.stream, name: request.name, messages: sum });
  }
}

function notJoined({ stream, name }: SubscribeRequest<NatsNative>, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_FAILED", {
    message: `name ${quote(name)} of stream ${quote(stream)} was not joined: NATS has given no lease; try it again, and see that this user may publish to ${leaseSubjects}.>`,
    retryable: true,
    cause,
  });
}

/** Who else has the position is decided elsewhere. */
const alone = { check: async () => undefined, leave: () => {}, isDeserted: async () => false };
