import { EventDriverError } from "event-driver";
import { randomUUID } from "node:crypto";

import type { IPublishPacket, ISubscriptionGrant, Packet } from "mqtt";

import { Answers } from "./answers.ts";
import { Link } from "./link.ts";
import { type MqttSettings, notConnected } from "./options.ts";
import { heartbeat, type Holder, type Roster } from "./roster.ts";

export interface SessionOptions {
  readonly settings: MqttSettings;
  readonly roster: Roster;
  /** What its client identifier begins with; its number follows. */
  readonly sessions: string;
  readonly slot: number;
  readonly holder: Holder;
  readonly filters: SessionFilters;
  /** Whether what the broker has of it is thrown away. */
  readonly fresh: boolean;
  /** Whether it is only emptied and then ended, and gets nothing new. */
  readonly isLeftover: boolean;
  readonly receiveMaximum: number;
  readonly retained: boolean;
  /** Whether the roster can be trusted now. */
  readonly isRosterUp: () => boolean;
  readonly onMessage: (flight: Flight, readOn: () => void) => void;
  readonly onUnansweredMessage: (packet: IPublishPacket, done: () => void) => void;
  /** Somebody else has it now: what is not settled is his. */
  readonly onReplaced: (error: EventDriverError) => void;
  /** It was left behind and is empty. */
  readonly onEmpty: () => void;
}

/** Who wants the name alone subscribes without `$share`, so that it may get retained messages, and others with it. */
export interface SessionFilters {
  readonly own: string;
  /** What it may be subscribed to from before. */
  readonly other: string;
}

/** A message that the broker waits for an answer to. */
export interface Flight {
  readonly session: Session;
  readonly packet: IPublishPacket;
  /** Of which connection it came last, counted from 1. */
  connection: number;
  isDone: boolean;
}

/** Subscriptions of MQTT may come with retained messages: where the subscription is new, or never. */
const retainHandling = { ifNew: 1, never: 2 };

/**
 * One MQTT session, and the messages of it that are not answered yet.
 *
 * It is the session that keeps a position at the broker. A message is answered by its own packet, in any order; what is not answered comes again when the
 * connection does, and is not delivered again as long as it is being worked on.
 */
export class Session {
  readonly slot: number;
  readonly #options: SessionOptions;
  readonly #link: Link;
  readonly #flights = new Map<number, Flight>();
  readonly #joined = Promise.withResolvers<void>();
  readonly #marker: string = randomUUID();
  readonly #answers: Answers;
  #connections = 0;
  #cancelHeartbeat: (() => void) | undefined;
  #isJoined = false;
  #isMarkerSeen = false;
  #isReplaced = false;

  constructor(options: SessionOptions) {
    const { settings, roster, sessions, slot, holder, fresh, receiveMaximum } = options;
    this.slot = slot;
    this.#options = options;
    this.#joined.promise.catch(() => {});
    this.#link = new Link({
      settings,
      clientId: `${sessions}-${slot}`,
      clean: fresh,
      sessionExpiry: settings.sessionExpiry,
      receiveMaximum,
      will: roster.noteOf(slot, "left", holder),
      onPacket: (packet) => this.#onPacket(packet),
      onMessage: (packet, readOn) => this.#onMessage(packet, readOn),
      onUnansweredMessage: (packet, done) => options.onUnansweredMessage(packet, done),
      onUp: ({ sessionPresent }) => void this.#join(sessionPresent),
      onDown: () => this.#cancelHeartbeat?.(),
      beforeReconnect: () => this.#beforeReconnect(),
    });
    this.#answers = new Answers(this.#link);
    this.#answers.hold();
  }

  get isReplaced(): boolean {
    return this.#isReplaced;
  }

  /**
   * Resolves when the broker has subscribed it: what is published from then on comes. A connection that is lost meanwhile comes back.
   *
   * @throws EventDriverError `ERR_CONNECTION_FAILED`, `ERR_DELIVERY_LOST` when somebody else has it now; whatever the broker says against a subscription
   */
  async open(): Promise<void> {
    const { place, clock, connectTimeout } = this.#options.settings;
    const cancel = clock.after(connectTimeout, () => {
      this.#joined.reject(notConnected(place, `has not subscribed within ${connectTimeout} ms`, true));
    });
    try {
      await this.#link.opened();
      await this.#joined.promise;
    } catch (error) {
      this.#link.destroy();
      throw error;
    } finally {
      cancel();
    }
  }

  /** Answers a message. While the connection is away that waits until the message comes again. */
  settle(flight: Flight): void {
    const id = flight.packet.messageId;
    if (id === undefined || this.#flights.get(id) !== flight) return;
    flight.isDone = true;
    if (this.#link.client.connected && flight.connection === this.#connections) this.#answer(id, flight.packet.qos);
    this.#tellEmpty();
  }

  /** Leaves it to whoever comes next, with all that is not answered. */
  async leave(options: { readonly unsubscribe?: boolean } = {}): Promise<void> {
    this.#left();
    if (options.unsubscribe && this.#link.isUp) await this.#link.client.unsubscribeAsync(this.#options.filters.own);
    await this.#link.close({ withWill: true });
    this.#options.roster.foresee(this.slot, "left");
  }

  /**
   * Ends it: the broker forgets what is in it.
   *
   * @throws EventDriverError `ERR_CONNECTION_FAILED` when the broker is away
   */
  async end(): Promise<void> {
    const { settings, roster, slot } = this.#options;
    this.#left();
    const isUp = this.#link.isUp;
    if (isUp) this.#link.client.publish(roster.topicOf(slot), "", { qos: 1, retain: true });
    await this.#link.close({ endSession: true });
    if (isUp) return roster.foresee(slot, "ended");
    throw notConnected(settings.place, `is away: a session was not ended, and expires in ${settings.sessionExpiry} s`, true);
  }

  /** Ends the connection as a process that dies does. */
  drop(): void {
    this.#left();
    this.#link.destroy();
  }

  #left(): void {
    this.#cancelHeartbeat?.();
    this.#answers.write();
    this.#joined.reject(notConnected(this.#options.settings.place, "was left before it had subscribed", true));
  }

  #beforeReconnect(): "connect" | "wait" | "end" {
    const { roster, slot, holder, isRosterUp, onReplaced } = this.#options;
    if (!isRosterUp()) return "wait";
    if (!roster.isTaken(slot, holder.id)) return "connect";
    this.#isReplaced = true;
    this.#cancelHeartbeat?.();
    const error = replaced();
    this.#joined.reject(error);
    onReplaced(error);
    return "end";
  }

  async #join(sessionPresent: boolean): Promise<void> {
    const { settings, isLeftover } = this.#options;
    try {
      if (isLeftover) await this.#beginEmptying(sessionPresent);
      else await this.#subscribe(sessionPresent);
      await this.#writeNote();
      this.#isJoined = true;
      this.#answers.release();
      this.#joined.resolve();
      this.#tellEmpty();
    } catch (error) {
      // It was left, or it joins again when the connection is back.
      if (this.#link.isEnded || !this.#link.client.connected) return;
      this.#joined.reject(error);
      settings.logger.error({ session: this.slot, err: error }, "a session was not subscribed; it is tried on");
      this.#link.client.stream.destroy();
    }
  }

  async #subscribe(sessionPresent: boolean): Promise<void> {
    const { settings, filters, retained } = this.#options;
    const rh = retained ? retainHandling.ifNew : retainHandling.never;
    const [grant] = await this.#link.client.subscribeAsync(filters.own, { qos: settings.qos, rh });
    requireGranted(grant, settings);
    if (sessionPresent) await this.#link.client.unsubscribeAsync(filters.other);
  }

  /** Nothing new comes, and a marker comes behind all that is there. */
  async #beginEmptying(sessionPresent: boolean): Promise<void> {
    const { roster, slot, filters } = this.#options;
    if (!sessionPresent) {
      this.#isMarkerSeen = true;
      return;
    }
    const topic = `${roster.topicOf(slot)}/end`;
    await this.#link.client.unsubscribeAsync([filters.own, filters.other]);
    await this.#link.client.subscribeAsync(topic, { qos: 1 });
    await this.#link.client.publishAsync(topic, this.#marker, { qos: 1 });
  }

  async #writeNote(): Promise<void> {
    const { settings, roster, slot, holder } = this.#options;
    const { topic, payload, ...options } = roster.noteOf(slot, "held", holder);
    this.#cancelHeartbeat?.();
    this.#cancelHeartbeat = settings.clock.after(heartbeat, () => void this.#repeatNote());
    await this.#link.client.publishAsync(topic, payload, options);
  }

  async #repeatNote(): Promise<void> {
    try {
      await this.#writeNote();
    } catch (error) {
      // Others may take it over now, which costs a second delivery and loses nothing.
      this.#options.settings.logger.warn({ session: this.slot, err: error }, "a session could not say that it is held");
    }
  }

  #onPacket(packet: Packet): void {
    if (packet.cmd === "connack") {
      this.#connections += 1;
      this.#answers.clear();
      if (!packet.sessionPresent) this.#flights.clear();
    } else if (packet.cmd === "pubrel" && packet.messageId !== undefined) this.#flights.delete(packet.messageId);
  }

  #onMessage(packet: IPublishPacket, readOn: () => void): void {
    const { messageId: id, qos } = packet;
    if (id === undefined) return readOn();
    if (packet.topic.startsWith(`${this.#options.roster.topicOf(this.slot)}/`)) {
      this.#onMarker(packet);
      return readOn();
    }
    const known = this.#flights.get(id);
    if (known !== undefined && isSame(known.packet, packet)) {
      known.connection = this.#connections;
      if (known.isDone) this.#answer(id, qos);
      return readOn();
    }
    const flight: Flight = { session: this, packet, connection: this.#connections, isDone: false };
    this.#flights.set(id, flight);
    this.#options.onMessage(flight, readOn);
  }

  #onMarker({ messageId, payload, qos }: IPublishPacket): void {
    if (messageId !== undefined) this.#answer(messageId, qos);
    this.#isMarkerSeen ||= String(payload) === this.#marker;
    this.#tellEmpty();
  }

  #tellEmpty(): void {
    const { isLeftover, onEmpty } = this.#options;
    if (isLeftover && this.#isJoined && this.#isMarkerSeen && [...this.#flights.values()].every(({ isDone }) => isDone)) onEmpty();
  }

  /** With quality 2 the flight stays until the broker has forgotten it too: it must not be taken for a new one meanwhile. */
  #answer(id: number, qos: number): void {
    if (qos === 1) this.#flights.delete(id);
    this.#answers.add(id, qos);
  }
}

/** Makes the broker forget a session that nobody holds. */
export async function removeSession(options: Pick<SessionOptions, "settings" | "roster" | "sessions" | "slot">): Promise<void> {
  const { settings, roster, sessions, slot } = options;
  const link = new Link({
    settings,
    clientId: `${sessions}-${slot}`,
    clean: true,
    sessionExpiry: 0,
    receiveMaximum: undefined,
    onPacket: () => {},
    onMessage: (_packet, readOn) => readOn(),
    onUnansweredMessage: (_packet, done) => done(),
    onUp: () => {},
    onDown: () => {},
    beforeReconnect: () => "connect",
  });
  await link.opened();
  await link.client.publishAsync(roster.topicOf(slot), "", { qos: 1, retain: true });
  await link.close();
}

function requireGranted(grant: ISubscriptionGrant | undefined, { place, qos }: MqttSettings): void {
  if (grant !== undefined && grant.qos >= 1 && grant.qos <= 2) return;
  throw new EventDriverError("ERR_UNSUPPORTED", {
    message: `mqtt at ${place} grants a subscription with quality ${grant?.qos ?? "unknown"} where ${qos} is asked; messages would be lost`,
    retryable: false,
  });
}

function replaced(): EventDriverError {
  return new EventDriverError("ERR_DELIVERY_LOST", {
    message: "another process has the MQTT session that the message came by; it is delivered there again",
    retryable: true,
  });
}

/** Packet identifiers are used again: after another process had the session, the same one may mean another message. */
function isSame(one: IPublishPacket, other: IPublishPacket): boolean {
  return (
    one.topic === other.topic &&
    Buffer.compare(Buffer.from(one.payload), Buffer.from(other.payload)) === 0 &&
    JSON.stringify(one.properties?.userProperties) === JSON.stringify(other.properties?.userProperties)
  );
}
