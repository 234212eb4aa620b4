import type { Binding, HeaderValue, ReadRecord } from "@event-driver/cloudevents/bindings";
import type { Handover, Inbound, Sink, SubscribeRequest, TransportSubscription } from "event-driver/streams";
import type { EventDriverError } from "event-driver";
import type { IPublishPacket } from "mqtt";

import { randomUUID } from "node:crypto";

import { streamOf } from "./names.ts";
import { busy, type MqttNative, type MqttSettings } from "./options.ts";
import type { Holder, Roster } from "./roster.ts";
import { type Flight, removeSession, Session, type SessionFilters } from "./session.ts";

export interface MembershipOptions {
  readonly settings: MqttSettings;
  readonly binding: Binding;
  readonly request: SubscribeRequest<MqttNative>;
  readonly sink: Sink;
  readonly roster: Roster;
  /** What the client identifiers of its sessions begin with. */
  readonly sessions: string;
  readonly filters: SessionFilters;
  readonly retained: boolean;
  readonly isRosterUp: () => boolean;
  /** Called once, when it has left. */
  readonly onLeft: () => void;
}

const largestReceiveMaximum = 0xffff;
const rejoinDelay = 1_000;

/** One subscription: a session of its own, and those of others that have gone, until they are empty. */
export class Membership implements TransportSubscription {
  readonly #options: MembershipOptions;
  readonly #holder: Holder;
  readonly #sessions = new Set<Session>();
  /** Tells apart what has no identity of its own, as long as this process lives. */
  readonly #epoch: string = randomUUID();
  /** What was delivered and is not settled. */
  readonly #out = new Set<Arrival>();
  /** What has to wait until less is out. */
  readonly #waiting: Arrival[] = [];
  #arrivals = 0;
  /** Whether it has a session that gets what is new. */
  #isJoined = false;
  #isStopped = false;
  #cancelRejoin: (() => void) | undefined;
  #leaving: Promise<void> | undefined;

  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#holder = { id: randomUUID(), exclusive: options.request.exclusive };
  }

  /**
   * Takes a session of the position and subscribes it.
   *
   * @throws EventDriverError `ERR_SUBSCRIPTION_BUSY`, `ERR_CONNECTION_FAILED`, `ERR_UNSUPPORTED`
   */
  async open(): Promise<void> {
    const { settings, request, roster, sessions } = this.#options;
    const { stream, name, exclusive, reset, durable } = request;
    for (;;) {
      const others = roster.others(this.#holder.id);
      if (others.exclusive || (others.any && (exclusive || reset))) throw busy(stream, name);
      const fresh = reset || (!durable && !others.any);
      const session = this.#claim(fresh);
      try {
        if (fresh) await Promise.all(roster.left().map((slot) => removeSession({ settings, roster, sessions, slot })));
        await session.open();
        this.#isJoined = true;
        return;
      } catch (error) {
        this.#remove(session);
        session.drop();
        if (!session.isReplaced) throw error;
      }
    }
  }

  /** Takes what somebody has left behind, as long as it lasts. */
  async takeOver(slot: number): Promise<void> {
    const { settings, request, roster } = this.#options;
    if (this.#isStopped || !roster.claimLeft(slot, this.#holder)) return;
    const { stream, name } = request;
    settings.logger.info({ stream, name, session: slot }, "takes over what another subscription has left behind");
    const session = this.#session(slot, { fresh: false, isLeftover: true });
    try {
      await session.open();
    } catch (error) {
      this.#remove(session);
      session.drop();
      settings.logger.warn({ stream, name, session: slot, err: error }, "what was left behind could not be taken over; it is tried again");
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelRejoin?.();
    for (const arrival of this.#waiting.splice(0)) arrival.takeIn();
  }

  async close(): Promise<void> {
    const { request } = this.#options;
    await (this.#leaving ??= this.#leave(!request.durable));
  }

  async forget(): Promise<void> {
    await (this.#leaving ??= this.#leave(true));
  }

  /** Settled, or no longer ours. */
  forgetArrival(arrival: Arrival): void {
    this.#out.delete(arrival);
    this.#deliverMore();
  }

  /** Given back: it comes again, before what waits. While the subscription ends it is left to the session. */
  deliverAgain(arrival: Arrival): void {
    this.#out.delete(arrival);
    if (!this.#isStopped) this.#waiting.unshift(arrival.again());
    this.#deliverMore();
  }

  #claim(fresh: boolean): Session {
    const slot = this.#options.roster.claim(this.#holder);
    return this.#session(slot, { fresh, isLeftover: false });
  }

  #session(slot: number, kind: { readonly fresh: boolean; readonly isLeftover: boolean }): Session {
    const { settings, request, roster, sessions, filters, retained, isRosterUp } = this.#options;
    const session: Session = new Session({
      ...kind,
      settings,
      roster,
      sessions,
      slot,
      holder: this.#holder,
      filters,
      receiveMaximum: Math.min(request.maxInFlight, largestReceiveMaximum),
      retained,
      isRosterUp,
      onMessage: (flight, readOn) => this.#onMessage(flight.packet, flight, readOn),
      onUnansweredMessage: (packet, readOn) => this.#onMessage(packet, undefined, readOn),
      onReplaced: (error) => this.#onReplaced(session, error, kind.isLeftover),
      onEmpty: () => void this.#endLeftover(session),
    });
    this.#sessions.add(session);
    return session;
  }

  #onMessage(packet: IPublishPacket, flight: Flight | undefined, readOn: () => void): void {
    if (this.#isStopped) return readOn();
    const { request, binding } = this.#options;
    this.#arrivals += 1;
    const position = `${this.#epoch}-${this.#arrivals}`;
    const stream = request.native?.filter === undefined ? request.stream : streamOf(packet.topic);
    const read = binding.read(recordOf(packet), { stream, position });
    // Nothing else bounds what needs no answer. Of the rest a broker sends no more than the Receive Maximum; Mosquitto 2.0.11 does.
    const isHeld = flight === undefined || this.#waiting.length >= request.maxInFlight;
    const arrival = new Arrival({
      membership: this,
      flight,
      readOn: isHeld ? readOn : undefined,
      read,
      position,
      attempt: packet.dup ? 2 : 1,
    });
    this.#waiting.push(arrival);
    this.#deliverMore();
    if (!isHeld) readOn();
  }

  #deliverMore(): void {
    const { request, sink } = this.#options;
    while (!this.#isStopped && this.#out.size < request.maxInFlight) {
      const arrival = this.#waiting.shift();
      if (arrival === undefined) return;
      this.#out.add(arrival);
      arrival.takeIn();
      arrival.handover = sink.deliver(arrival);
    }
  }

  #onReplaced(session: Session, error: EventDriverError, isLeftover: boolean): void {
    const { settings, request, sink } = this.#options;
    const { stream, name, exclusive } = request;
    this.#remove(session);
    for (const arrival of this.#out) {
      if (arrival.session !== session) continue;
      this.#out.delete(arrival);
      arrival.handover?.revoke(error);
    }
    const others = this.#waiting.filter((arrival) => arrival.session !== session);
    this.#waiting.splice(0, this.#waiting.length, ...others);
    if (isLeftover || this.#isStopped || !this.#isJoined) return;
    this.#isJoined = false;
    if (exclusive) return sink.lost(busy(stream, name));
    settings.logger.warn({ stream, name, session: session.slot }, "another process has taken the session; takes another one");
    this.#rejoinLater();
  }

  #rejoinLater(): void {
    this.#cancelRejoin = this.#options.settings.clock.after(rejoinDelay, () => void this.#rejoin());
  }

  async #rejoin(): Promise<void> {
    if (this.#isStopped) return;
    const session = this.#claim(false);
    try {
      await session.open();
      this.#isJoined = true;
    } catch (error) {
      this.#remove(session);
      session.drop();
      const { stream, name } = this.#options.request;
      this.#options.settings.logger.warn({ stream, name, err: error }, "no other session could be taken; it is tried again");
      if (!this.#isStopped) this.#rejoinLater();
    }
  }

  async #endLeftover(session: Session): Promise<void> {
    if (this.#isStopped || !this.#sessions.has(session)) return;
    this.#remove(session);
    try {
      await session.end();
    } catch (error) {
      this.#options.settings.logger.warn({ session: session.slot, err: error }, "an empty session was not ended; it is looked at again");
    }
  }

  #remove(session: Session): void {
    if (this.#sessions.delete(session)) this.#options.roster.unclaim(session.slot);
  }

  async #leave(forget: boolean): Promise<void> {
    const { settings, roster, sessions, onLeft } = this.#options;
    await this.stop();
    const { any } = roster.others(this.#holder.id);
    try {
      await Promise.all(Array.from(this.#sessions, (session) => (forget && !any ? session.end() : session.leave({ unsubscribe: forget }))));
      if (forget && !any) await Promise.all(roster.left().map((slot) => removeSession({ settings, roster, sessions, slot })));
    } finally {
      for (const session of this.#sessions) this.#remove(session);
      onLeft();
    }
  }
}

interface ArrivalOptions {
  readonly membership: Membership;
  /** `undefined` where the broker waits for no answer. */
  readonly flight: Flight | undefined;
  /** Has the client read on; given where nothing else bounds what comes. */
  readonly readOn: (() => void) | undefined;
  readonly read: ReadRecord;
  readonly position: string;
  readonly attempt: number;
}

/** One message as it is handed over. */
class Arrival implements Inbound {
  readonly message: Inbound["message"];
  readonly failure: unknown;
  readonly position: string;
  readonly attempt: number;
  /** Whom to tell when it is lost. */
  handover: Handover | undefined;
  readonly #options: ArrivalOptions;
  #isSettled = false;

  constructor(options: ArrivalOptions) {
    const { read, position, attempt } = options;
    this.#options = options;
    this.message = read.message;
    this.failure = read.failure;
    this.position = position;
    this.attempt = attempt;
  }

  get session(): Session | undefined {
    return this.#options.flight?.session;
  }

  async ack(): Promise<void> {
    if (this.#isSettled) return;
    this.#isSettled = true;
    const { membership, flight } = this.#options;
    flight?.session.settle(flight);
    membership.forgetArrival(this);
  }

  async release(): Promise<void> {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#options.membership.deliverAgain(this);
  }

  /** It waits no longer: the client may read on where it was held. */
  takeIn(): void {
    this.#options.readOn?.();
  }

  /** The same message, once more. */
  again(): Arrival {
    return new Arrival({ ...this.#options, readOn: undefined, attempt: this.attempt + 1 });
  }
}

function recordOf({ topic, payload, properties }: IPublishPacket): Parameters<Binding["read"]>[0] {
  const headers: (readonly [string, HeaderValue])[] = [];
  const given = properties?.userProperties ?? {};
  for (const name of Object.keys(given)) {
    const value = given[name];
    if (typeof value === "string") headers.push([name, value]);
    else for (const each of value ?? []) headers.push([name, each]);
  }
  // What nobody wrote as an event is ordered by its topic: that of one device, mostly.
  return { headers, contentType: properties?.contentType, key: topic, body: typeof payload === "string" ? Buffer.from(payload) : payload };
}
