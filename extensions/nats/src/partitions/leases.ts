import type { Clock, Logger } from "event-driver";

import { type ApiError, JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from "@nats-io/jetstream";
import { EventDriverError, quote } from "event-driver";

import type { Link } from "../link.ts";

/** The JetStream stream in which all leases are. */
export const leaseStream = "event-driver-leases";
/** What the subjects of all leases begin with. */
export const leaseSubjects = "event-driver.leases";

/** Milliseconds for which the broker keeps a lease that is not renewed. It counts in whole seconds. */
const lifetime = 10_000;
/** Milliseconds between two renewals. */
const renewEvery = 2_500;
/** Milliseconds by which a holder stops before the broker may give the lease to another one. */
const margin = 1_000;
/** Milliseconds for one answer. */
const patience = 2_000;

export interface LeasesOptions {
  readonly link: Link;
  readonly manager: JetStreamManager;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What stands at the beginning of the subjects of those that belong together. */
  readonly subject: string;
  /** Who takes them. */
  readonly holder: string;
}

/** Something that is its holder's alone, for a time. */
export interface Lease {
  /**
   * Epoch milliseconds until which it is certain that nobody else has it: counted from when the broker was asked, and not from when it answered. In the past when it
   * was lost or left.
   */
  readonly endsAt: number;
  /** Leaves it to others. */
  release(): Promise<void>;
}

/**
 * Leases that a broker keeps: each is the one message of a subject, which only who knows its sequence can write anew, and which the broker removes when its time is
 * over. So there is one holder at most, whatever is delayed, lost or asked twice, and no two clocks are compared.
 */
export class Leases {
  readonly #options: LeasesOptions;
  readonly #held = new Set<HeldLease>();
  readonly #stopListening: () => void;
  #cancelRenewal: (() => void) | undefined;

  constructor(options: LeasesOptions) {
    this.#options = options;
    this.#stopListening = options.link.listen({ onUp: () => this.#renewAll() });
    this.#renewLater();
  }

  /** What is taken, by anybody. */
  async taken(): Promise<readonly string[]> {
    const { link, manager, subject } = this.#options;
    const info = await link.answer(() => manager.streams.info(leaseStream, { subjects_filter: `${subject}.>` }));
    return Object.keys(info.state.subjects ?? {}).map((each) => each.slice(subject.length + 1));
  }

  /** Takes one; `undefined` when another one has it. `onLost` is told when it is no longer ours without having been released. */
  async take(name: string, onLost: (reason: EventDriverError) => void): Promise<Lease | undefined> {
    const { link, manager, clock, logger, subject, holder } = this.#options;
    const lease = new HeldLease({
      link,
      manager,
      clock,
      logger,
      subject: `${subject}.${name}`,
      holder,
      onEnded: (reason) => {
        this.#held.delete(lease);
        if (reason !== undefined) onLost(reason);
      },
    });
    if (!(await lease.take())) return undefined;
    this.#held.add(lease);
    return lease;
  }

  /** Renews none any more. Those that were not released end at the broker by themselves. */
  close(): void {
    this.#stopListening();
    this.#cancelRenewal?.();
    for (const lease of this.#held) lease.drop();
  }

  #renewLater(): void {
    this.#cancelRenewal = this.#options.clock.after(renewEvery, () => {
      this.#renewAll();
      this.#renewLater();
    });
  }

  #renewAll(): void {
    for (const lease of this.#held) void lease.renew();
  }
}

interface HeldLeaseOptions extends LeasesOptions {
  /** Called once, with a reason where it was lost. */
  readonly onEnded: (reason?: EventDriverError) => void;
}

class HeldLease implements Lease {
  readonly #options: HeldLeaseOptions;
  /** Of its message; 0 for none. */
  #sequence = 0;
  #endsAt = -Infinity;
  #cancelEnd: (() => void) | undefined;
  #renewing: Promise<void> | undefined;
  #isEnded = false;

  constructor(options: HeldLeaseOptions) {
    this.#options = options;
  }

  get endsAt(): number {
    return this.#endsAt;
  }

  async take(): Promise<boolean> {
    const askedAt = this.#options.clock.now();
    const sequence = await this.#write();
    if (sequence === undefined) return false;
    this.#keep(sequence, askedAt);
    return true;
  }

  renew(): Promise<void> {
    return (this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined)));
  }

  async release(): Promise<void> {
    if (this.#isEnded) return;
    this.#end();
    await this.#renewing;
    const { link, manager } = this.#options;
    try {
      await link.answer(() => manager.streams.deleteMessage(leaseStream, this.#sequence, false));
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  drop(): void {
    if (!this.#isEnded) this.#end();
  }

  async #renew(): Promise<void> {
    const { link, clock, logger, subject } = this.#options;
    if (this.#isEnded || !link.isUp) return;
    try {
      const askedAt = clock.now();
      const sequence = await this.#write();
      if (sequence !== undefined) return this.#keep(sequence, askedAt);
      // It may have been renewed by a call whose answer was lost.
      const found = await this.#find();
      if (found === undefined) return this.#lose("another one has taken it, or it was removed");
      this.#sequence = found;
      const again = await this.#write();
      if (again !== undefined) this.#keep(again, askedAt);
    } catch (error) {
      logger.warn({ lease: subject, err: error }, "a lease was not renewed; it is tried again until its time is over");
    }
  }

  /** Its new sequence; `undefined` when the message is not the one that we know. */
  async #write(): Promise<number | undefined> {
    const { link, manager, subject, holder } = this.#options;
    const expect = { lastSubjectSequence: this.#sequence };
    try {
      const written = await link.answer(() =>
        manager.jetstream().publish(subject, holder, { expect, ttl: `${lifetime / 1_000}s`, timeout: patience }),
      );
      return written.seq;
    } catch (error) {
      if (isCode(error, JetStreamApiCodes.StreamWrongLastSequence, JetStreamApiCodes.StreamWrongLastSequenceUnknown)) return undefined;
      throw error;
    }
  }

  /** The sequence of the message, where it is ours. */
  async #find(): Promise<number | undefined> {
    const { link, manager, subject, holder } = this.#options;
    try {
      const found = await link.answer(() => manager.streams.getMessage(leaseStream, { last_by_subj: subject }));
      return found?.string() === holder ? found.seq : undefined;
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  #keep(sequence: number, askedAt: number): void {
    this.#sequence = sequence;
    if (this.#isEnded) return;
    const { clock } = this.#options;
    this.#endsAt = askedAt + lifetime - margin;
    this.#cancelEnd?.();
    this.#cancelEnd = clock.after(Math.max(0, this.#endsAt - clock.now()), () => this.#lose("it was not renewed in time"));
  }

  #lose(why: string): void {
    if (this.#isEnded) return;
    this.#end(
      new EventDriverError("ERR_DELIVERY_LOST", {
        message: `the lease ${quote(this.#options.subject)} is no longer this subscription's: ${why}; what it stands for is taken again when it is free`,
        retryable: true,
      }),
    );
  }

  #end(reason?: EventDriverError): void {
    this.#isEnded = true;
    this.#endsAt = -Infinity;
    this.#cancelEnd?.();
    this.#options.onEnded(reason);
  }
}

/** When the message that is asked for is not there. */
function isGone(error: unknown): boolean {
  return isCode(error, JetStreamApiCodes.NoMessageFound, 10043, 10057);
}

function isCode(error: unknown, ...codes: readonly ApiError["err_code"][]): boolean {
  return error instanceof JetStreamApiError && codes.includes(error.code);
}
