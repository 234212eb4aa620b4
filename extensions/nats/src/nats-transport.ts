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

import { createHash, randomUUID } from "node:crypto";

import { type Clock, identityOf, type Logger, type Message } from "event-driver";

import type { Link } from "./link.ts";
import type { NatsNative, Settings } from "./options.ts";
import type { Topology } from "./topology.ts";

import { encodeName } from "./names.ts";
import { Outbox } from "./outbox.ts";
import { Presence } from "./presence.ts";
import { Puller } from "./puller.ts";

/** What JetStream can do. */
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

export interface NatsTransportOptions {
  readonly link: Link;
  readonly topology: Topology;
  readonly binding: Binding;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** One client of a broker, as a transport. */
export class NatsTransport implements Transport<NatsNative> {
  readonly name = "NATS";
  readonly features: ConnectionFeatures = natsFeatures;
  /** One connection, one stream, one order: the broker takes what it is sent as it comes. */
  readonly keepsPublishOrder = true;
  readonly #options: NatsTransportOptions;
  readonly #outbox: Outbox;
  readonly #pullers = new Set<Puller>();
  #listener: TransportListener | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: NatsTransportOptions) {
    const { link, topology, settings, clock, logger } = options;
    this.#options = options;
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
    const { subject } = topology.place(stream);
    await this.#outbox.send(stream, { id: message.id, subject, headers: all, body, signal });
  }

  async subscribe(request: SubscribeRequest<NatsNative>, sink: Sink): Promise<TransportSubscription> {
    const { link, topology, binding, settings, clock, logger } = this.#options;
    const { stream, name, exclusive, reset } = request;
    const place = topology.place(stream);
    await topology.ensureStream(place);
    const subject = `event-driver.members.${place.name}.${encodeName(name)}`;
    const presence = new Presence({ link, logger, id: randomUUID(), stream, name, subject, isAlone: exclusive });
    await presence.join({ reset });
    try {
      if (reset) await topology.reset(place, encodeName(name));
      const position = await topology.ensurePosition(request, place);
      const puller: Puller = new Puller({
        request,
        position,
        sink,
        binding,
        link,
        topology,
        presence,
        apiPrefix: settings.apiPrefix,
        clock,
        logger,
        tellLag: (details) => this.#listener?.lag(details),
        onEnded: () => this.#pullers.delete(puller),
      });
      this.#pullers.add(puller);
      return puller;
    } catch (error) {
      presence.leave();
      throw error;
    }
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
    await link.within(2_000, Promise.all(Array.from(this.#pullers, (puller) => puller.close())));
    await link.close();
  }
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
