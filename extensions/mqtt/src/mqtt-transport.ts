import type { Binding, WrittenRecord } from "@event-driver/cloudevents/bindings";
import { EventDriverError, invalidOption, type Message, quote } from "event-driver";
import type {
  ConnectionFeatures,
  Sink,
  SubscribeRequest,
  Transport,
  TransportListener,
  TransportPublishOptions,
} from "event-driver/streams";
import type { IConnackPacket, IPublishPacket } from "mqtt";

import { randomUUID } from "node:crypto";

import { Answers } from "./answers.ts";
import { Link } from "./link.ts";
import { Membership } from "./membership.ts";
import { rosterTopic, sessionsOf, shareNameOf, topicOf } from "./names.ts";
import { type MqttNative, type MqttSettings, nativeOf } from "./options.ts";
import { Publisher } from "./publisher.ts";
import { Roster } from "./roster.ts";

/** What MQTT 5 can do. */
export const mqttFeatures: ConnectionFeatures = {
  durable: true,
  transient: true,
  backfill: [],
  reset: true,
  serial: true,
  keyOrder: "subscription",
  ackWait: "none",
  delay: false,
  attempts: false,
  expiry: true,
};

/** A roster that is open, and the subscriptions that use it. */
interface OpenRoster {
  readonly roster: Roster;
  readonly opened: Promise<void>;
  readonly members: Set<Membership>;
}

/** Seconds that the broker remembers what was sent and not answered: for a connection that comes back. */
const publisherExpiry = 3_600;
const longestTopic = 65_535;
const largestPacket = 268_435_455;
/** Bytes of a packet beside topic, properties and content, at most. */
const packetOverhead = 64;

/** Publishes over one connection of its own, and gives each subscription further ones. */
export class MqttTransport implements Transport<MqttNative> {
  readonly name = "MQTT";
  readonly features: ConnectionFeatures = mqttFeatures;
  readonly keepsPublishOrder = true;
  readonly #settings: MqttSettings;
  readonly #binding: Binding;
  readonly #link: Link;
  readonly #answers: Answers;
  readonly #publisher: Publisher;
  readonly #rosters = new Map<string, OpenRoster>();
  readonly #topics = new Map<string, string>();
  #broker: IConnackPacket["properties"];
  #listener: TransportListener | undefined;
  #closing: Promise<void> | undefined;

  constructor(settings: MqttSettings, binding: Binding) {
    this.#settings = settings;
    this.#binding = binding;
    this.#publisher = new Publisher({ clock: settings.clock, link: () => this.#link });
    this.#link = new Link({
      settings,
      clientId: `${settings.clientId}-publisher-${randomUUID()}`,
      clean: true,
      sessionExpiry: publisherExpiry,
      receiveMaximum: undefined,
      onPacket: (packet) => this.#publisher.notice(packet),
      onMessage: (packet, readOn) => {
        this.#onNote(packet);
        readOn();
      },
      onUnansweredMessage: (packet, done) => {
        this.#onNote(packet);
        done();
      },
      onUp: (connack) => this.#onUp(connack),
      onDown: () => this.#listener?.state({ state: "reconnecting" }),
      beforeReconnect: () => "connect",
    });
    this.#answers = new Answers(this.#link);
  }

  /** @throws EventDriverError `ERR_CONNECTION_FAILED`; `ERR_UNSUPPORTED` where the broker cannot do what `qos` asks */
  async open(): Promise<void> {
    await this.#link.opened();
    if (this.#settings.qos > (this.#broker?.maximumQoS ?? 2)) throw this.#unsupported(`messages of quality ${this.#settings.qos}`);
  }

  /** Ends what has not become a connection. */
  abandon(): void {
    this.#link.destroy();
  }

  observe(listener: TransportListener): void {
    this.#listener = listener;
  }

  async publish(stream: string, message: Message, { signal, expiresAfter }: TransportPublishOptions): Promise<void> {
    const topic = this.#topicOf(stream);
    const record = this.#binding.write(message);
    this.#requireRoom(topic, record, message.id);
    const { isUnmatched } = await this.#publisher.publish(
      {
        topic,
        payload: Buffer.from(record.body.buffer, record.body.byteOffset, record.body.byteLength),
        options: { qos: this.#settings.qos, retain: this.#settings.retain(stream), properties: propertiesOf(record, expiresAfter) },
      },
      signal,
    );
    // Only dead letters expire, and of those nobody may be the last one to know.
    if (isUnmatched && expiresAfter !== undefined) throw nobodyHasIt(stream, message.id);
  }

  async subscribe(request: SubscribeRequest<MqttNative>, sink: Sink): Promise<Membership> {
    const { stream, name, durable } = request;
    const { filter = this.#topicOf(stream), retained } = nativeOf(request.native, request.exclusive);
    if (this.#broker?.sharedSubscriptionAvailable === false) throw this.#unsupported("shared subscriptions");
    if (this.#broker?.retainAvailable === false) throw this.#unsupported("retained messages, which tell who has which session");
    if (this.#closing !== undefined) throw this.#closed(`stream ${quote(stream)} was not subscribed to`);
    const sessions = sessionsOf(this.#settings.clientId, { stream, name, filter, durable });
    const shared = `$share/${shareNameOf(name, durable)}/${filter}`;
    const { roster, opened, members } = this.#rosterOf(sessions);
    const membership: Membership = new Membership({
      settings: this.#settings,
      binding: this.#binding,
      request,
      sink,
      roster,
      sessions,
      filters: request.exclusive ? { own: filter, other: shared } : { own: shared, other: filter },
      retained,
      isRosterUp: () => this.#link.isUp,
      onLeft: () => this.#forgetMember(sessions, membership),
    });
    members.add(membership);
    try {
      await opened;
      await membership.open();
      return membership;
    } catch (error) {
      this.#forgetMember(sessions, membership);
      throw error;
    }
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const members = [...this.#rosters.values()].flatMap((open) => [...open.members]);
    await Promise.allSettled(members.map((membership) => membership.close()));
    this.#publisher.fail(this.#closed("what was being published may not have reached it"));
    await this.#link.close({ endSession: true });
  }

  #rosterOf(sessions: string): OpenRoster {
    const known = this.#rosters.get(sessions);
    if (known !== undefined) return known;
    const members = new Set<Membership>();
    const roster = new Roster({
      settings: this.#settings,
      sessions,
      wire: {
        subscribe: async (filter) => void (await this.#link.client.subscribeAsync(filter, { qos: 1 })),
        unsubscribe: (filter) => this.#unwatch(filter),
        publish: async (topic, payload) =>
          void (await this.#publisher.publish({ topic, payload: Buffer.from(payload), options: { qos: 1 } }, undefined)),
      },
      onAbandoned: (slot) => {
        const [member] = members;
        void member?.takeOver(slot);
      },
    });
    const open = { roster, opened: roster.open(), members };
    open.opened.catch(() => {});
    this.#rosters.set(sessions, open);
    return open;
  }

  #forgetMember(sessions: string, membership: Membership): void {
    const open = this.#rosters.get(sessions);
    if (open === undefined || !open.members.delete(membership) || open.members.size > 0) return;
    this.#rosters.delete(sessions);
    open.roster.close();
  }

  #unwatch(filter: string): void {
    if (!this.#link.isUp || this.#closing !== undefined) return;
    // What still comes is for nobody.
    this.#link.client.unsubscribe(filter);
  }

  #onUp(connack: IConnackPacket): void {
    this.#broker = connack.properties;
    this.#publisher.begin(connack);
    this.#listener?.state({ state: "connected" });
    for (const { roster } of this.#rosters.values()) {
      roster.refresh().catch((error: unknown) => this.#settings.logger.warn({ err: error }, "who holds which session could not be asked"));
    }
  }

  #onNote({ topic, payload, properties, messageId, qos }: IPublishPacket): void {
    if (messageId !== undefined) this.#answers.add(messageId, qos);
    if (!topic.startsWith(`${rosterTopic}/`)) return;
    for (const { roster } of this.#rosters.values()) {
      if (roster.take(topic, String(payload), properties?.messageExpiryInterval)) return;
    }
  }

  /** Names are few and messages many. */
  #topicOf(stream: string): string {
    const known = this.#topics.get(stream);
    if (known !== undefined) return known;
    const topic = topicOf(stream);
    if (Buffer.byteLength(topic) > longestTopic)
      throw invalidOption("mqttConnection", "stream", stream, `one whose topic has at most ${longestTopic} bytes`);
    if (this.#topics.size >= 1_000) this.#topics.clear();
    this.#topics.set(stream, topic);
    return topic;
  }

  /** A broker ends the connection over a packet that is too large, and would do so again each time it is sent again. */
  #requireRoom(topic: string, { body, headers }: WrittenRecord, id: string): void {
    const limit = this.#broker?.maximumPacketSize ?? largestPacket;
    // Four times the characters are more than the bytes: mostly there is no need to count.
    if (body.byteLength + packetOverhead + 4 * longestTopic < limit && headers.length < 16) return;
    const properties = headers.reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value) + 5, 0);
    const size = body.byteLength + Buffer.byteLength(topic) + properties + packetOverhead;
    if (size <= limit) return;
    throw new EventDriverError("ERR_TOO_LARGE", {
      message: `message ${quote(id)} was not published: its packet has ${size} bytes and mqtt at ${this.#settings.place} takes ${limit}`,
      retryable: false,
    });
  }

  #unsupported(what: string): EventDriverError {
    return new EventDriverError("ERR_UNSUPPORTED", {
      message: `mqtt at ${this.#settings.place} has no ${what}; use another broker or switch them on there`,
      retryable: false,
    });
  }

  #closed(what: string): EventDriverError {
    return new EventDriverError("ERR_CONNECTION_CLOSED", { message: `the connection to mqtt is closed: ${what}`, retryable: true });
  }
}

function propertiesOf(
  { headers, contentType }: WrittenRecord,
  expiresAfter: number | undefined,
): NonNullable<IPublishPacket["properties"]> {
  const userProperties: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of headers) {
    const before = userProperties[name];
    userProperties[name] = before === undefined ? value : [before, value].flat();
  }
  const properties: NonNullable<IPublishPacket["properties"]> = { userProperties };
  if (contentType !== undefined) properties.contentType = contentType;
  if (expiresAfter !== undefined) properties.messageExpiryInterval = Math.min(Math.ceil(expiresAfter / 1_000), 0xffff_ffff);
  return properties;
}

function nobodyHasIt(stream: string, id: string): EventDriverError {
  return new EventDriverError("ERR_PUBLISH_FAILED", {
    message: `dead letter ${quote(id)} was published to stream ${quote(stream)}, and nobody has it: subscribe a durable name to that stream first`,
    retryable: true,
  });
}
