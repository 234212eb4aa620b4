import type { IClientOptions } from "mqtt";

import { randomUUID } from "node:crypto";

import { rosterTopic } from "./names.ts";
import type { MqttSettings } from "./options.ts";

/** How a roster reaches the other connections. */
export interface RosterWire {
  subscribe(filter: string): Promise<void>;
  unsubscribe(filter: string): void;
  publish(topic: string, payload: string): Promise<void>;
}

export interface RosterOptions {
  readonly settings: MqttSettings;
  readonly wire: RosterWire;
  /** What the client identifiers of the sessions begin with. */
  readonly sessions: string;
  /** A session was left behind, and nobody has come for it. */
  readonly onAbandoned: (slot: number) => void;
}

/** What is written of one session. */
interface Note {
  readonly state: "held" | "left";
  readonly owner: string;
  /** Whether the owner wants the name alone. */
  readonly exclusive: boolean;
  /** Seconds after which the broker forgets this note, counted from when it was written. */
  readonly expiry: number;
}

interface Entry extends Note {
  /** By our clock, in milliseconds: the broker has said how old the note was when it came. */
  readonly writtenAt: number;
}

/** Who has a session in this process. */
export interface Holder {
  readonly id: string;
  readonly exclusive: boolean;
}

/** Milliseconds after which whoever holds a session says so again. */
export const heartbeat = 20_000;
const silentFor = 3 * heartbeat;
const noteNumber = /^\d{1,9}$/;

/**
 * Which sessions a position has, and who holds them: one retained note for each, below the topic `event-driver/sessions/`.
 *
 * MQTT has no way to ask whether a client identifier is in use: to connect under one takes it from whoever has it. So holders write a note, leave a will that
 * says that they have gone, and whoever comes takes the lowest number that nobody holds. Should two come at the same instant, the broker gives the session to
 * one of them, and the other one takes the next.
 */
export class Roster {
  readonly #options: RosterOptions;
  readonly #entries = new Map<number, Entry>();
  readonly #claims = new Map<number, Holder>();
  readonly #marker = `~${randomUUID()}`;
  #read = Promise.withResolvers<void>();
  #cancelCheck: (() => void) | undefined;

  constructor(options: RosterOptions) {
    this.#options = options;
  }

  get #topic(): string {
    return `${rosterTopic}/${this.#options.sessions}`;
  }

  /** Resolves when all notes that there are have come. */
  async open(): Promise<void> {
    await this.refresh();
    // Retained messages come first: what is published after the subscription comes behind them.
    await this.#options.wire.publish(`${this.#topic}/${this.#marker}`, "");
    await this.#read.promise;
    this.#checkLater();
  }

  /** Asks for all notes, once more when the connection was lost. */
  async refresh(): Promise<void> {
    await this.#options.wire.subscribe(`${this.#topic}/+`);
  }

  close(): void {
    this.#cancelCheck?.();
    this.#read.resolve();
    this.#options.wire.unsubscribe(`${this.#topic}/+`);
  }

  /** Takes in what came on one of its topics; `false` when it is for another one. */
  take(topic: string, payload: string, expiresIn: number | undefined): boolean {
    if (!topic.startsWith(`${this.#topic}/`)) return false;
    const last = topic.slice(this.#topic.length + 1);
    if (last === this.#marker) this.#read.resolve();
    else if (noteNumber.test(last)) this.#note(Number(last), noteIn(payload), expiresIn);
    return true;
  }

  /** The lowest session that nobody holds; from then on it is the holder's. */
  claim(holder: Holder): number {
    let slot = 0;
    while (this.#claims.has(slot) || this.#isHeld(slot)) slot += 1;
    this.#claims.set(slot, holder);
    return slot;
  }

  /** Takes one that was left behind; `false` when somebody else has it. */
  claimLeft(slot: number, holder: Holder): boolean {
    if (this.#claims.has(slot) || this.#isHeld(slot)) return false;
    this.#claims.set(slot, holder);
    return true;
  }

  unclaim(slot: number): void {
    this.#claims.delete(slot);
  }

  /** Notes what is known here before the broker has told it: a session was left, or it has ended. */
  foresee(slot: number, state: "left" | "ended"): void {
    const entry = this.#entries.get(slot);
    if (state === "ended") this.#entries.delete(slot);
    else if (entry !== undefined) this.#entries.set(slot, { ...entry, state, writtenAt: this.#options.settings.clock.now() });
  }

  /** Whether anybody but this one, or anybody who wants it alone, has the name. */
  others(id: string): { readonly any: boolean; readonly exclusive: boolean } {
    const held = [...this.#entries]
      .filter(([slot]) => this.#isHeld(slot))
      .map(([, entry]) => ({ id: entry.owner, exclusive: entry.exclusive }));
    const others = [...held, ...this.#claims.values()].filter((holder) => holder.id !== id);
    return { any: others.length > 0, exclusive: others.some(({ exclusive }) => exclusive) };
  }

  /** Whether somebody has written that he holds the session instead. */
  isTaken(slot: number, id: string): boolean {
    return this.#isHeld(slot) && this.#entries.get(slot)?.owner !== id;
  }

  /** The sessions that are there and that nobody holds. */
  left(): readonly number[] {
    return [...this.#entries.keys()].filter((slot) => !this.#isHeld(slot) && !this.#claims.has(slot));
  }

  /** The note to publish of a session, and where. An empty one removes it. */
  noteOf(slot: number, state: Note["state"], { id, exclusive }: Holder): NonNullable<IClientOptions["will"]> {
    const expiry = this.#options.settings.sessionExpiry;
    const note: Note = { state, owner: id, exclusive, expiry };
    return {
      topic: this.topicOf(slot),
      payload: Buffer.from(JSON.stringify(note)),
      qos: 1,
      retain: true,
      properties: { messageExpiryInterval: expiry },
    };
  }

  topicOf(slot: number): string {
    return `${this.#topic}/${slot}`;
  }

  #note(slot: number, note: Note | undefined, expiresIn: number | undefined): void {
    if (note === undefined) {
      this.#entries.delete(slot);
      return;
    }
    const age = Math.max(0, note.expiry - (expiresIn ?? note.expiry));
    this.#entries.set(slot, { ...note, writtenAt: this.#options.settings.clock.now() - age * 1_000 });
  }

  #isHeld(slot: number): boolean {
    const entry = this.#entries.get(slot);
    return entry?.state === "held" && this.#options.settings.clock.now() - entry.writtenAt < silentFor;
  }

  #checkLater(): void {
    const { clock, takeOverAfter } = this.#options.settings;
    // Not all members at the same instant.
    this.#cancelCheck = clock.after(takeOverAfter * (0.25 + Math.random() / 2), () => {
      this.#checkLater();
      for (const slot of this.left()) if (this.#isAbandoned(slot)) this.#options.onAbandoned(slot);
    });
  }

  #isAbandoned(slot: number): boolean {
    const entry = this.#entries.get(slot);
    if (entry === undefined) return false;
    const leftAt = entry.writtenAt + (entry.state === "held" ? silentFor : 0);
    return this.#options.settings.clock.now() - leftAt >= this.#options.settings.takeOverAfter;
  }
}

/** `undefined` where the session has ended, or something else is written there. */
function noteIn(payload: string): Note | undefined {
  try {
    const note: unknown = JSON.parse(payload);
    return isNote(note) ? note : undefined;
  } catch {
    return undefined;
  }
}

function isNote(note: unknown): note is Note {
  if (typeof note !== "object" || note === null) return false;
  return (
    "state" in note &&
    (note.state === "held" || note.state === "left") &&
    "owner" in note &&
    typeof note.owner === "string" &&
    "exclusive" in note &&
    typeof note.exclusive === "boolean" &&
    "expiry" in note &&
    typeof note.expiry === "number"
  );
}
