import type { Clock } from "../../clock.ts";
import type { Logger } from "../../context.ts";
import type { Message } from "../../message.ts";
import type { Emit } from "../emitter.ts";
import type { Handover, Inbound, Sink } from "../transport.ts";
import type { KeyParking } from "../../pipeline/key-parking.ts";
import type { Worker } from "./work.ts";

import { createContext } from "../../context.ts";
import { EventDriverError, quote } from "../../errors.ts";
import { endsWithin, goodbye } from "../ends-within.ts";
import { LinkedList } from "../linked-list.ts";
import { AckWaits } from "./ack-waits.ts";
import { asDeadLetter, type DeadLetterSettings } from "./dead-letters.ts";
import { Job } from "./job.ts";
import { Lanes } from "./lanes.ts";
import { redrivenContext } from "./redriven.ts";
import { type Again, decide, decideAgain, type Decision, type Outcome, type SettleRules } from "./settle.ts";

export interface ConsumerOptions {
  readonly stream: string;
  readonly name: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly emit: Emit;
  readonly worker: Worker;
  /** How many lanes are worked on side by side. */
  readonly limit: number;
  readonly order: "serial" | "key" | "none";
  /** Milliseconds; `undefined` where nothing is to be extended. */
  readonly extendEvery: number | undefined;
  readonly rules: SettleRules;
  readonly deadLetter: DeadLetterSettings | undefined;
  /** Publishes a dead letter. */
  readonly putAside: (message: Message, settings: DeadLetterSettings) => Promise<unknown>;
}

/**
 * Takes what a transport delivers through lanes to the target, and settles each delivery by what came of it.
 *
 * A delivery is acknowledged after its handler has finished, and after its dead letter was published: whenever the process dies, the broker still has it.
 */
export class Consumer implements Sink {
  readonly #options: ConsumerOptions;
  readonly #lanes: Lanes<Job>;
  readonly #ackWaits: AckWaits | undefined;
  /** What nobody has said a last word on yet. */
  readonly #jobs = new LinkedList<Job>();
  /** How many acknowledgements the broker has not answered yet. Nobody waits for them but the end. */
  #unanswered = 0;
  #whenAnswered: (() => void) | undefined;

  constructor(options: ConsumerOptions) {
    const { limit, clock, extendEvery } = options;
    this.#options = options;
    this.#lanes = new Lanes<Job>({
      limit,
      clock,
      run: (job) => this.#run(job),
      giveBack: (job) => this.#release(job, 0),
    });
    if (extendEvery !== undefined) {
      this.#ackWaits = new AckWaits({
        every: extendEvery,
        clock,
        unsettled: () => this.#jobs,
        onError: (inbound, error) => this.#warn(inbound, error, "the ack wait of a message was not extended; it may be delivered again"),
      });
    }
  }

  get inFlight(): number {
    return this.#jobs.size;
  }

  deliver(inbound: Inbound): Handover {
    const job = new Job(inbound, this.#options.stream, this.#drop);
    this.#jobs.add(job);
    if (inbound.extend !== undefined) this.#ackWaits?.watch();
    job.lane = this.#lanes.add(this.#laneNameOf(inbound), job);
    return job;
  }

  lost(error: unknown): void {
    const { stream, name, logger, emit } = this.#options;
    logger.error({ stream, name, err: error }, "the broker ended a subscription");
    emit("lost", { stream, name, error });
  }

  /** Gives back what has not begun and waits for what has: not longer than `limit` milliseconds, then that is given up. */
  async drain(limit: number): Promise<void> {
    const { clock, worker } = this.#options;
    const finished = this.#lanes.stop().then(() => this.#answered());
    worker.flush();
    await endsWithin(clock, limit, finished);
    await endsWithin(clock, goodbye, this.#giveUp());
  }

  /** `undefined` where none waits for another. */
  #laneNameOf({ message }: Inbound): string | undefined {
    const { order } = this.#options;
    if (order === "key") return message.key;
    return order === "serial" ? "" : undefined;
  }

  /** It comes again: two of it in the same lane would pile up behind a handler that hangs. */
  readonly #drop = (job: Job): void => {
    if (job.lane !== undefined && this.#lanes.remove(job.lane, job)) this.#forget(job);
  };

  /** The common way has no promise more than it needs: each costs as much as the rest of what is done here. */
  async #run(job: Job): Promise<number | undefined> {
    if (job.isGone) return this.#forget(job);
    const { worker, deadLetter } = this.#options;
    const { failure } = job.inbound;
    // What is no message has no key of its own that could be parked.
    if (failure !== undefined) return this.#settle(job, this.#decide({ status: "failed", error: failure }, job));
    if (deadLetter?.parkKey !== undefined) return this.#visit(job, deadLetter.parkKey);
    const decision = this.#decide(await worker.work(job), job);
    if (job.isGone) return this.#forget(job);
    return decision.kind === "acknowledge" ? this.#acknowledge(job) : this.#settle(job, decision);
  }

  /** Past the queue of its key, in which it may have to wait. */
  async #visit(job: Job, parkKey: KeyParking): Promise<number | undefined> {
    const { clock, logger, rules } = this.#options;
    const { message } = job.inbound;
    let decision: Decision = { kind: "acknowledge" };
    let failure: unknown;
    try {
      const outcome = await parkKey.visit({
        ctx: redrivenContext(createContext({ signal: job.interrupt.signal, clock, logger }), message),
        message,
        run: async () => {
          decision = this.#decide(await this.#options.worker.work(job), job);
          if (job.isGone || decision.kind === "hold" || decision.kind === "release") return "again";
          return decision.kind === "acknowledge" ? "done" : { error: decision.error };
        },
        putAside: async (error, ticket) => {
          failure = error;
          await this.#publishDeadLetter(job, error, ticket);
        },
      });
      if (job.isGone) return this.#forget(job);
      if (outcome === "again") return this.#settle(job, decision);
      if (outcome === "put aside")
        this.#tellFailure(job, failure, "was put into the dead-letter stream, and its key is parked", "dead letter");
      return this.#acknowledge(job);
    } catch (error) {
      return job.isGone ? this.#forget(job) : this.#tryAgain(job, decideAgain(error, rules));
    }
  }

  #decide(outcome: Outcome, job: Job): Decision {
    const { rules, clock } = this.#options;
    if (outcome.status === "failed") job.firstFailedAt ??= clock.now();
    try {
      return decide(outcome, job.attempt, rules);
    } catch (error) {
      // The user's own function for delays: the message must not be lost by it, nor its lane.
      return decideAgain(error, rules);
    }
  }

  async #settle(job: Job, decision: Decision): Promise<number | undefined> {
    switch (decision.kind) {
      case "acknowledge":
        return this.#acknowledge(job);
      case "put aside":
        return this.#putAside(job, decision.error);
      case "hold":
      case "release":
        return this.#tryAgain(job, decision);
    }
  }

  async #tryAgain(job: Job, { kind, delay, error, isSpent }: Again): Promise<number | undefined> {
    this.#tellFailure(job, error, isSpent ? "failed too often and is tried on" : "failed and is tried again", "retry");
    if (kind === "release") return this.#release(job, delay);
    job.countRetry();
    return delay;
  }

  async #putAside(job: Job, error: unknown): Promise<number | undefined> {
    const { deadLetter, rules } = this.#options;
    if (deadLetter === undefined) return this.#tryAgain(job, decideAgain(error, rules));
    try {
      await this.#publishDeadLetter(job, error);
    } catch (unpublished) {
      return this.#tryAgain(job, decideAgain(unpublished, rules));
    }
    this.#tellFailure(job, error, "failed and was put into the dead-letter stream", "dead letter");
    return this.#acknowledge(job);
  }

  async #publishDeadLetter(job: Job, error: unknown, ticket?: string): Promise<void> {
    const { deadLetter, clock, putAside } = this.#options;
    if (deadLetter === undefined) throw error;
    try {
      await putAside(asDeadLetter(job, error, clock.now(), deadLetter, ticket), deadLetter);
    } catch (publishError) {
      throw notPutAside(job, error, publishError);
    }
  }

  /**
   * The lane does not wait for the answer: whoever is next has nothing to fear from an acknowledgement that gets lost, for a message that comes again
   * comes after it has been done.
   */
  #acknowledge(job: Job): undefined {
    this.#takeOut(job);
    this.#unanswered += 1;
    job.inbound.ack().then(
      () => this.#end(job),
      (error: unknown) => {
        this.#warn(job.inbound, error, "a message was not acknowledged and may be delivered again");
        this.#end(job);
      },
    );
  }

  #end(job: Job): void {
    job.end();
    this.#unanswered -= 1;
    if (this.#unanswered === 0) this.#whenAnswered?.();
  }

  #answered(): Promise<void> {
    return this.#unanswered === 0 ? Promise.resolve() : new Promise((resolve) => (this.#whenAnswered = resolve));
  }

  async #release(job: Job, delay: number): Promise<undefined> {
    try {
      if (!job.isGone) await job.inbound.release({ delay });
    } catch (error) {
      this.#warn(job.inbound, error, "a message was not given back; it is delivered again when the broker misses it");
    }
    return this.#forget(job);
  }

  #forget(job: Job): undefined {
    job.end();
    this.#takeOut(job);
  }

  /** Takes out what the last word was said on. */
  #takeOut(job: Job): void {
    this.#jobs.delete(job);
    if (this.#jobs.size === 0) this.#ackWaits?.stop();
  }

  /** Nobody waits for it any longer: whoever works on it is told, and the broker has it again. */
  async #giveUp(): Promise<void> {
    const jobs = [...this.#jobs];
    for (const job of jobs) job.interrupt.abort(closedOver(job));
    for (const job of jobs) await this.#release(job, 0);
  }

  #tellFailure(job: Job, error: unknown, what: string, next: "retry" | "dead letter"): void {
    const { stream, name, logger, emit } = this.#options;
    const { message, position } = job.inbound;
    const { id, key, source } = message;
    logger.error({ stream, name, id, key, source, position, attempt: job.attempt, err: error }, `a message ${what}`);
    emit("failure", { stream, name, id, attempt: job.attempt, error, next });
  }

  #warn(inbound: Inbound, error: unknown, text: string): void {
    const { stream, name, logger } = this.#options;
    logger.warn({ stream, name, id: inbound.message.id, position: inbound.position, err: error }, text);
  }
}

function closedOver(job: Job): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_CLOSED", {
    message: `the subscription was closed before message ${quote(job.inbound.message.id)} was done; it is delivered again`,
    retryable: true,
  });
}

function notPutAside(job: Job, error: unknown, publishError: unknown): EventDriverError {
  return new EventDriverError("ERR_PUBLISH_FAILED", {
    message: `message ${quote(job.inbound.message.id)} failed and was not put into the dead-letter stream; it is tried again`,
    retryable: true,
    cause: new AggregateError([error, publishError], "the failure of the message, and the failure of putting it aside"),
  });
}
