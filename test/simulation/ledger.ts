import type { Message } from "../../src/message.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

/** Longer than any one fault keeps a process from its work. */
const troubleLasts = 30_000;

/** An event of the model, as its senders have it. */
export interface ModelEvent {
  readonly message: Message<string>;
  readonly order: string;
}

/** What arrived at the other side of the pipeline, in which order. */
export interface Effect {
  readonly id: string;
  readonly key: string;
  readonly source: string;
  readonly kind: "complete" | "timeout";
  readonly content: string;
}

interface Delivery {
  readonly process: SimulatedProcess;
  readonly at: number;
}

/** What the world outside of the pipeline knows: what was sent and answered, and what came out. */
export class Ledger {
  readonly events: Map<string, ModelEvent> = new Map();
  /** Ids of the events that were acknowledged. */
  readonly accepted: Set<string> = new Set();
  /** Ids of the events that were refused for good, and the codes of their refusals. */
  readonly refused: Map<string, string> = new Map();
  /** Ids of the events that were reported as late. */
  readonly late: Set<string> = new Set();
  /** The orders whose failure reached someone who keeps it; without a joiner, the ids of the events. */
  readonly failuresTold: Set<string> = new Set();
  readonly effects: Map<string, Effect> = new Map();
  /** How often the handler began with each message. */
  readonly runs: Map<string, number> = new Map();
  readonly violations: string[] = [];
  readonly #deliveries = new Map<string, Delivery[]>();
  readonly #receipts = new Map<string, string>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  readonly report: (violation: string) => void = (violation) => {
    this.violations.push(`${(this.#now() / 1_000).toFixed(3)} s: ${violation}`);
  };

  /** Something that must happen once has happened; again only where a process had trouble in between. */
  happened(what: string, process: SimulatedProcess): void {
    const at = this.#now();
    const before = this.#deliveries.get(what) ?? [];
    const isExcused = [...before, { process, at }].some((delivery) => delivery.process.hadTrouble(delivery.at - troubleLasts, at));
    if (before.length > 0 && !isExcused) this.report(`${what} happened again, and no process had any trouble`);
    this.#deliveries.set(what, [...before, { process, at }]);
  }

  /** An effect has arrived: one id has one content, ever. */
  arrived(effect: Effect, process: SimulatedProcess): void {
    this.happened(`delivery of ${effect.id}`, process);
    const known = this.effects.get(effect.id);
    if (known === undefined) this.effects.set(effect.id, effect);
    else if (JSON.stringify(known) !== JSON.stringify(effect)) this.report(`${effect.id} has two contents`);
  }

  /** A step has given its result: whoever asks for that step of that message is given the same. */
  given(step: string, result: string): void {
    const known = this.#receipts.get(step);
    if (known !== undefined && known !== result) this.report(`step ${step} gave ${known}, and later ${result}`);
    this.#receipts.set(step, result);
  }

  /** A delivery was answered with the reply to a message: it must be one that came out. */
  replied(id: string): void {
    if (!this.effects.has(id)) this.report(`a reply tells of ${id}, which never came out`);
  }

  began(id: string): void {
    this.runs.set(id, (this.runs.get(id) ?? 0) + 1);
  }
}
