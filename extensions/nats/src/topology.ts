import type { SubscribeRequest } from "event-driver/streams";

import {
  type ConsumerConfig,
  type ConsumerInfo,
  JetStreamApiError,
  JetStreamApiCodes,
  type JetStreamManager,
  type StreamInfo,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { EventDriverError, isEventDriverError, quote } from "event-driver";

import type { Link } from "./link.ts";

import { encodeName } from "./names.ts";
import { defaultDuplicateWindow, type NatsNative, type NatsPlace, nativeOf, type Settings } from "./options.ts";

/** Where a stream is at the broker, complete. */
export interface Place {
  /** As the user of the connection calls it. */
  readonly stream: string;
  /** The JetStream stream. */
  readonly name: string;
  readonly subject: string;
  readonly settings: NatsPlace;
}

/** A position, as it is at the broker. */
export interface Position {
  readonly place: Place;
  readonly name: string;
  /** Whether it ends with its last subscription. */
  readonly isTransient: boolean;
  readonly config: Partial<ConsumerConfig>;
}

/** What JetStream says when something of that name exists with other settings. */
const streamNameInUse = 10058;
const consumerExists = 10148;

/**
 * Makes streams and positions, or looks whether they are there. Nothing that exists is changed but the ack wait and the number of unsettled messages of a
 * position, which belong to whoever subscribes.
 */
export class Topology {
  readonly #link: Link;
  readonly #manager: JetStreamManager;
  readonly #settings: Settings;

  constructor(link: Link, manager: JetStreamManager, settings: Settings) {
    this.#link = link;
    this.#manager = manager;
    this.#settings = settings;
  }

  place(stream: string): Place {
    const own = Object.hasOwn(this.#settings.streams, stream) ? this.#settings.streams[stream] : undefined;
    const encoded = encodeName(stream);
    return { stream, name: own?.name ?? encoded, subject: own?.subject ?? encoded, settings: { ...this.#settings.stream, ...own } };
  }

  /** @throws EventDriverError `ERR_TOPOLOGY` when it is missing and may not be made, or does not have its subject */
  async ensureStream(place: Place): Promise<void> {
    const info =
      (await this.#found(() => this.#manager.streams.info(place.name), JetStreamApiCodes.StreamNotFound)) ??
      (await this.#makeStream(place));
    if (!info.config.subjects?.some((subject) => covers(subject, place.subject))) throw unfit(place);
  }

  /** @throws EventDriverError `ERR_TOPOLOGY` when it is missing and may not be made */
  async ensurePosition(request: SubscribeRequest<NatsNative>, place: Place): Promise<Position> {
    const wanted = positionConfig(request, place);
    const name = encodeName(request.name);
    const found = await this.info(place, name);
    const info = found === undefined ? await this.#makePosition(request, place, wanted) : await this.#adapted(found, wanted);
    return { place, name, isTransient: info.config.durable_name === undefined, config: wanted };
  }

  info(place: Place, name: string): Promise<ConsumerInfo | undefined> {
    return this.#found(() => this.#manager.consumers.info(place.name, name), JetStreamApiCodes.ConsumerNotFound);
  }

  /** Makes a position that has ended anew, at another message. */
  async remake({ place, config }: Position, from: number | undefined): Promise<void> {
    const start = from === undefined ? {} : ({ deliver_policy: "by_start_sequence", opt_start_seq: from } as const);
    const { opt_start_time: _, ...rest } = config;
    await this.#link.answer(() => this.#manager.consumers.add(place.name, from === undefined ? config : { ...rest, ...start }));
  }

  /** @throws EventDriverError `ERR_UNSUPPORTED` where nothing may be made that is removed */
  async reset(place: Place, name: string): Promise<void> {
    if (this.#settings.topology === "check") throw noReset(place);
    await this.remove(place, name);
  }

  async remove(place: Place, name: string): Promise<void> {
    await this.#found(() => this.#manager.consumers.delete(place.name, name), JetStreamApiCodes.ConsumerNotFound);
  }

  async #makeStream(place: Place): Promise<StreamInfo> {
    const { name, subject, stream, settings } = place;
    if (this.#settings.topology === "check")
      throw missing(`stream ${quote(stream)}, the JetStream stream ${quote(name)} with subject ${quote(subject)},`);
    const {
      replicas = 1,
      storage = "file",
      discard = "old",
      duplicateWindow = defaultDuplicateWindow,
      maxAge = 0,
      maxBytes = -1,
      maxMessages = -1,
    } = settings;
    const made = await this.#found(
      () =>
        this.#manager.streams.add({
          name,
          subjects: [subject],
          storage,
          num_replicas: replicas,
          retention: "limits",
          discard,
          max_age: nanos(maxAge),
          max_bytes: maxBytes,
          max_msgs: maxMessages,
          duplicate_window: nanos(duplicateWindow),
          allow_msg_ttl: true,
          allow_direct: true,
        }),
      streamNameInUse,
    );
    // Somebody else was quicker, and made it otherwise.
    return made ?? this.#link.answer(() => this.#manager.streams.info(name));
  }

  async #makePosition(request: SubscribeRequest<NatsNative>, place: Place, wanted: Partial<ConsumerConfig>): Promise<ConsumerInfo> {
    if (this.#settings.topology === "check" && request.durable)
      throw missing(
        `name ${quote(request.name)} of stream ${quote(request.stream)}, the consumer ${quote(encodeName(request.name))} of ${quote(place.name)},`,
      );
    const made = await this.#found(() => this.#manager.consumers.add(place.name, wanted), consumerExists);
    return made ?? this.#link.answer(() => this.#manager.consumers.info(place.name, encodeName(request.name)));
  }

  async #adapted(info: ConsumerInfo, wanted: Partial<ConsumerConfig>): Promise<ConsumerInfo> {
    const { ack_wait, max_ack_pending } = info.config;
    const isSame = ack_wait === wanted.ack_wait && max_ack_pending === wanted.max_ack_pending;
    if (isSame || this.#settings.topology === "check") return info;
    const change = { ack_wait: wanted.ack_wait ?? nanos(30_000), max_ack_pending: wanted.max_ack_pending ?? -1 };
    return this.#link.answer(() => this.#manager.consumers.update(info.stream_name, info.name, change));
  }

  /** What is asked for, or `undefined` where the broker answers with this code. */
  async #found<Thing>(ask: () => Promise<Thing>, code: number): Promise<Thing | undefined> {
    try {
      return await this.#link.answer(ask);
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === code) return undefined;
      throw error;
    }
  }
}

/** Whether it is no use to try again. */
export function isFinal(error: unknown): boolean {
  return isEventDriverError(error) && (error.code === "ERR_TOPOLOGY" || error.code === "ERR_CONNECTION_CLOSED");
}

function positionConfig(request: SubscribeRequest<NatsNative>, { subject }: Place): Partial<ConsumerConfig> {
  const name = encodeName(request.name);
  const { filterSubjects, inactiveThreshold } = nativeOf(request.native);
  return {
    name,
    ...(request.durable ? { durable_name: name } : { inactive_threshold: nanos(inactiveThreshold) }),
    ...(filterSubjects === undefined ? { filter_subject: subject } : { filter_subjects: [...filterSubjects] }),
    ...startOf(request.backfill),
    ack_policy: "explicit",
    ack_wait: nanos(request.ackWait ?? 30_000),
    max_deliver: -1,
    // The bound of each subscription is what it asks for. One message at a time is kept by the broker too, whoever asks.
    max_ack_pending: request.exclusive ? 1 : -1,
  };
}

function startOf(backfill: SubscribeRequest<NatsNative>["backfill"]): Partial<ConsumerConfig> {
  if (backfill === true) return { deliver_policy: "all" };
  if (backfill === false) return { deliver_policy: "new" };
  if (backfill instanceof Date) return { deliver_policy: "by_start_time", opt_start_time: backfill.toISOString() };
  return { deliver_policy: "by_start_sequence", opt_start_seq: sequenceOf(backfill.position) };
}

function sequenceOf(position: string): number {
  const sequence = Number(position);
  if (Number.isSafeInteger(sequence) && sequence >= 1) return sequence;
  throw new EventDriverError("ERR_INVALID_OPTION", {
    message: `subscribe: backfill.position is ${quote(position)}, allowed is the position of a delivery, a whole number from 1`,
    retryable: false,
  });
}

/** Whether a subject with wildcards takes one without. */
function covers(pattern: string, subject: string): boolean {
  const tokens = subject.split(".");
  const parts = pattern.split(".");
  if (parts.at(-1) === ">")
    return tokens.length >= parts.length && parts.slice(0, -1).every((part, index) => part === "*" || part === tokens[index]);
  return tokens.length === parts.length && parts.every((part, index) => part === "*" || part === tokens[index]);
}

function missing(what: string): EventDriverError {
  return new EventDriverError("ERR_TOPOLOGY", {
    message: `${what} is not at the broker, and topology is "check"; make it there`,
    retryable: true,
  });
}

function unfit({ stream, name, subject }: Place): EventDriverError {
  return new EventDriverError("ERR_TOPOLOGY", {
    message: `stream ${quote(stream)} needs the subject ${quote(subject)}, which the JetStream stream ${quote(name)} does not have; add it there, or name the right one in the option streams`,
    retryable: true,
  });
}

function noReset({ stream }: Place): EventDriverError {
  return new EventDriverError("ERR_UNSUPPORTED", {
    message: `a position of stream ${quote(stream)} cannot be put back where topology is "check", because it would have to be made anew; take another name`,
    retryable: false,
  });
}
