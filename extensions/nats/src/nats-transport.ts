import type { Binding } from "@event-driver/cloudevents/bindings";
import type {
  ConnectionFeatures,
  SubscribeRequest,
  Sink,
  Transport,
  TransportListener,
  TransportPublishOptions,
  TransportSubscription,
} from "event-driver/streams";

import type { JetStreamManager } from "@nats-io/jetstream";

import { createHash, randomUUID } from "node:crypto";

import { type Clock, EventDriverError, identityOf, type Logger, type Message, quote } from "event-driver";

import type { Link } from "./link.ts";
import type { NatsNative, Settings } from "./options.ts";
import type { Topology } from "./topology.ts";

import { Budget } from "./budget.ts";
import { encodeName } from "./names.ts";
import { Outbox } from "./outbox.ts";
import { leaseSubjects } from "./partitions/leases.ts";
import { PartitionedSubscription } from "./partitions/partitioned-subscription.ts";
import { type Place, positionName, subjectFor } from "./positions.ts";
import { Presence } from "./presence.ts";
import { Puller } from "./puller.ts";

/** What JetStream can do where streams have no partitions. */
export const natsFeatures: ConnectionFeatures = {
  durable: true,
  transient: true,
  backfill: ["all", "time", "position"],
  reset: true,
  serial: true,
  keyOrder: "subscription",
  ackWait: "extended",
  delay: true,
  attempts: true,
  expiry: true,
};

/** What a connection can do, as far as its options say: the least that is true of every stream, but for a name alone, which few may not have. */
function featuresOf({ stream, streams }: Settings): ConnectionFeatures {
  const { partitions = 1 } = stream;
  const isOrdered = partitions > 1 && Object.values(streams).every((place) => (place.partitions ?? partitions) > 1);
  return { ...natsFeatures, keyOrder: isOrdered ? "group" : natsFeatures.keyOrder, serial: partitions === 1 };
}

export interface NatsTransportOptions {
  readonly link: Link;
  readonly manager: JetStreamManager;
  readonly topology: Topology;
  readonly binding: Binding;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One client of a broker, as a transport. */
export class NatsTransport implements Transport<NatsNative> {
  readonly name = "NATS";
  readonly features: ConnectionFeatures;
  /** One connection, one stream, one order: the broker takes what it is sent as it comes. */
  readonly keepsPublishOrder = true;
  readonly #options: NatsTransportOptions;
  readonly #outbox: Outbox;
  readonly #subscriptions = new Set<TransportSubscription>();
  #listener: TransportListener | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: NatsTransportOptions) {
    const { link, topology, settings, clock, logger } = options;
    this.#options = options;
    this.features = featuresOf(settings);
    this.#outbox = new Outbox({
      link,
      prepare: (stream) => topology.ensureStream(topology.place(stream)),
      clock,
      logger,
      timeout: settings.publishTimeout,
    });
    link.listen({
      onDown: () => this.#listener?.state({ state: "reconnecting" }),
      onUp: () => this.#listener?.state({ state: "connected" }),
    });
  }

  async publish(stream: string, message: Message, { signal, expiresAfter }: TransportPublishOptions): Promise<void> {
    const { topology, binding, settings } = this.#options;
    const { headers, body } = binding.write(message);
    const all: Record<string, string[]> = { "Nats-Msg-Id": [settings.deduplicate ? deduplicationId(message) : randomUUID()] };
    for (const [name, value] of headers) (all[name] ??= []).push(value);
    // The broker counts in whole seconds, and takes none that is shorter.
    if (expiresAfter !== undefined && expiresAfter !== Infinity) all["Nats-TTL"] = [`${Math.max(1, Math.ceil(expiresAfter / 1_000))}s`];
    const place = topology.place(stream);
    await this.#outbox.send(stream, {
      id: message.id,
      // Asked for when it is sent: by then it is known how many partitions the stream has.
      get subject() {
        return subjectFor(place, message.key);
      },
      headers: all,
      body,
      signal,
    });
  }

  async subscribe(request: SubscribeRequest<NatsNative>, sink: Sink): Promise<TransportSubscription> {
    const { link, topology, logger } = this.#options;
    const { stream, name, exclusive, reset } = request;
    const place = topology.place(stream);
    await topology.ensureStream(place);
    const { partitions = 1 } = place;
    if (exclusive && partitions > 1) throw noSerial(place);
    const subject = `event-driver.members.${place.name}.${encodeName(name)}`;
    const presence = new Presence({ link, logger, id: randomUUID(), stream, name, subject, isAlone: exclusive });
    await presence.join({ reset });
    try {
      return partitions > 1
        ? await this.#subscribeToPartitions(request, place, presence, sink)
        : await this.#subscribeToAll(request, place, presence, sink);
    } catch (error) {
      presence.leave();
      throw error;
    }
  }

  async #subscribeToAll(
    request: SubscribeRequest<NatsNative>,
    place: Place,
    presence: Presence,
    sink: Sink,
  ): Promise<TransportSubscription> {
    const { link, topology, binding, settings, clock, logger } = this.#options;
    if (request.reset) await topology.reset(place, positionName(request.name, undefined));
    const position = await topology.ensurePosition(request, place);
    const puller: Puller = new Puller({
      request,
      position,
      sink,
      binding,
      link,
      topology,
      membership: presence,
      budget: new Budget(request.maxInFlight),
      apiPrefix: settings.apiPrefix,
      clock,
      logger,
      tellLag: (details) => this.#listener?.lag(details),
      onEnded: () => this.#subscriptions.delete(puller),
    });
    this.#subscriptions.add(puller);
    return puller;
  }

  async #subscribeToPartitions(
    request: SubscribeRequest<NatsNative>,
    place: Place,
    presence: Presence,
    sink: Sink,
  ): Promise<TransportSubscription> {
    const { link, manager, topology, binding, settings, clock, logger } = this.#options;
    const { name, reset } = request;
    const partitions = Array.from({ length: place.partitions ?? 1 }, (_, partition) => partition);
    await topology.ensureLeases(place);
    if (reset) await Promise.all(partitions.map((partition) => topology.reset(place, positionName(name, partition))));
    const subscription: PartitionedSubscription = new PartitionedSubscription({
      request,
      positions: await Promise.all(partitions.map((partition) => topology.ensurePosition(request, place, partition))),
      sink,
      binding,
      link,
      manager,
      topology,
      presence,
      leases: `${leaseSubjects}.${place.name}.${encodeName(name)}`,
      apiPrefix: settings.apiPrefix,
      clock,
      logger,
      tellLag: (details) => this.#listener?.lag(details),
      tellRebalance: (details) => this.#listener?.rebalance(details),
      onEnded: () => this.#subscriptions.delete(subscription),
    });
    await subscription.begin();
    this.#subscriptions.add(subscription);
    return subscription;
  }

  observe(listener: TransportListener): void {
    this.#listener = listener;
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    const { link } = this.#options;
    this.#outbox.close();
    await link.within(2_000, Promise.all(Array.from(this.#subscriptions, (subscription) => subscription.close())));
    await link.close();
  }
}

function noSerial({ stream, partitions }: Place): EventDriverError {
  return new EventDriverError("ERR_UNSUPPORTED", {
    message: `subscribe: stream ${quote(stream)} has ${partitions} partitions, so it has no order over all keys and serial is not possible; subscribe once, with concurrency: 1, or give it one partition`,
    retryable: false,
  });
}

/** Longer ones are digested: the broker holds each in memory for the whole duplicate window. */
const longestId = 64;

/**
 * By what the broker knows a message again: its identity. A dead letter is the same event once more, and meant to be: how often it has failed by then is part
 * of it, else it would be swallowed when it is put back.
 */
function deduplicationId(message: Message): string {
  const { dlattempts = "", dllasttime = "" } = message.attributes;
  const identity = identityOf(message);
  const id = dlattempts === "" && dllasttime === "" ? identity : JSON.stringify([identity, dlattempts, dllasttime]);
  const isPlain = id.length <= longestId && /^[\x21-\x7e]+$/.test(id);
  return isPlain ? id : createHash("sha256").update(id).digest("base64url");
}
