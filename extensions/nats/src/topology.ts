import type { SubscribeRequest } from "event-driver/streams";

import {
  type ConsumerConfig,
  type ConsumerInfo,
  JetStreamApiError,
  JetStreamApiCodes,
  type JetStreamManager,
  RetentionPolicy,
  type StreamConfig,
  type StreamInfo,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import { EventDriverError, isEventDriverError, quote } from "event-driver";

import type { Link } from "./link.ts";

import { encodeName } from "./names.ts";
import { defaultDuplicateWindow, isPartitions, type NatsNative, type Settings } from "./options.ts";
import { leaseStream, leaseSubjects } from "./partitions/leases.ts";
import { type Place, type Position, positionConfig, positionName, problemOf, subjectOf } from "./positions.ts";

/** What JetStream says when something of that name exists with other settings. */
const streamNameInUse = 10058;
const consumerExists = 10148;

/** Where a stream says how many partitions it is made for. */
const partitionsMark = "event-driver.partitions";

/**
 * Makes streams and positions, or looks whether they are there. Nothing that exists is changed but the ack wait and the number of unsettled messages of a
 * position, which belong to whoever subscribes.
 */
export class Topology {
  readonly #link: Link;
  readonly #manager: JetStreamManager;
  readonly #settings: Settings;
  readonly #places = new Map<string, Place>();

  constructor(link: Link, manager: JetStreamManager, settings: Settings) {
    this.#link = link;
    this.#manager = manager;
    this.#settings = settings;
  }

  place(stream: string): Place {
    const known = this.#places.get(stream);
    if (known !== undefined) return known;
    const own = Object.hasOwn(this.#settings.streams, stream) ? this.#settings.streams[stream] : undefined;
    const encoded = encodeName(stream);
    const settings = { ...this.#settings.stream, ...own };
    const { name = encoded, subject = encoded, partitions } = settings;
    const place = { stream, name, subject, partitions, settings };
    this.#places.set(stream, place);
    return place;
  }

  /** @throws EventDriverError `ERR_TOPOLOGY` when it is missing and may not be made, or does not have its subject; `ERR_CONNECTION_FAILED` */
  async ensureStream(place: Place): Promise<void> {
    const { name } = place;
    const info =
      (await this.#find(place, JetStreamApiCodes.StreamNotFound, () => this.#manager.streams.info(name))) ??
      (await this.#makeStream(place));
    const { subjects, metadata } = info.config;
    const found = Number(metadata?.[partitionsMark] ?? "1");
    const { partitions = found } = place;
    if (found !== partitions || !isPartitions(found))
      throw unfit(place, `is made for ${found} partitions, as its metadata say, and not for ${partitions}: keys would change their places`);
    place.partitions = found;
    const subject = subjectOf(place, found > 1 ? 0 : undefined);
    if (!subjects.some((pattern) => covers(pattern, subject))) throw unfit(place, `does not have the subject ${quote(subject)}`);
  }

  /** Makes sure that there is a stream for leases. */
  async ensureLeases(place: Place): Promise<void> {
    const { replicas = 1, storage = "file" } = this.#settings.stream;
    const find = (): Promise<StreamInfo | undefined> =>
      this.#find(place, JetStreamApiCodes.StreamNotFound, () => this.#manager.streams.info(leaseStream));
    const found = await find();
    if (found === undefined && this.#settings.topology === "check")
      throw missing(place, `the JetStream stream ${quote(leaseStream)} with the subjects ${quote(`${leaseSubjects}.>`)}`);
    const config = {
      name: leaseStream,
      subjects: [`${leaseSubjects}.>`],
      storage,
      num_replicas: replicas,
      retention: RetentionPolicy.Limits,
      max_msgs_per_subject: 1,
      allow_msg_ttl: true,
      deny_delete: false,
    } satisfies Partial<StreamConfig>;
    const made = found ?? (await this.#find(place, streamNameInUse, () => this.#manager.streams.add(config))) ?? (await find());
    if (made === undefined || made.config.max_msgs_per_subject !== 1 || !made.config.allow_msg_ttl || made.config.deny_delete)
      throw unfit({ ...place, name: leaseStream }, "must keep one message of a subject, let it have a lifetime, and let it be deleted");
  }

  /** @throws EventDriverError `ERR_TOPOLOGY` when it is missing and may not be made, or would lose messages; `ERR_CONNECTION_FAILED` */
  async ensurePosition(request: SubscribeRequest<NatsNative>, place: Place, partition?: number): Promise<Position> {
    const wanted = positionConfig(request, place, partition);
    const name = positionName(request.name, partition);
    const found = await this.info(place, name);
    const { config } =
      found === undefined ? await this.#makePosition(request, place, name, wanted) : await this.#adapted(place, found, wanted);
    const problem = problemOf(config, wanted, partition);
    if (problem !== undefined) throw unfit(place, `has a consumer ${quote(name)} that ${problem}`);
    return { place, name, isTransient: config.durable_name === undefined, config: wanted };
  }

  info(place: Place, name: string): Promise<ConsumerInfo | undefined> {
    return this.#find(place, JetStreamApiCodes.ConsumerNotFound, () => this.#manager.consumers.info(place.name, name));
  }

  /** Makes a position that has ended anew, at the given message of the stream where there is one. */
  async remake({ place, config }: Position, from: number | undefined): Promise<void> {
    const { opt_start_time: _, ...rest } = config;
    const start: Partial<ConsumerConfig> =
      from === undefined ? config : { ...rest, deliver_policy: "by_start_sequence", opt_start_seq: from };
    await this.#ask(place, () => this.#manager.consumers.add(place.name, start));
  }

  /** @throws EventDriverError `ERR_UNSUPPORTED` where nothing may be made anew */
  async reset(place: Place, name: string): Promise<void> {
    if (this.#settings.topology === "check") throw noReset(place);
    await this.remove(place, name);
  }

  async remove(place: Place, name: string): Promise<void> {
    await this.#find(place, JetStreamApiCodes.ConsumerNotFound, () => this.#manager.consumers.delete(place.name, name));
  }

  async #makeStream(place: Place): Promise<StreamInfo> {
    const { name, partitions = 1, settings } = place;
    const subject = partitions > 1 ? `${place.subject}.*` : place.subject;
    if (this.#settings.topology === "check") throw missing(place, `the JetStream stream ${quote(name)} with the subject ${quote(subject)}`);
    const { replicas = 1, storage = "file", discard = "old", duplicateWindow = defaultDuplicateWindow } = settings;
    const { maxAge = 0, maxBytes = -1, maxMessages = -1 } = settings;
    const config = {
      name,
      subjects: [subject],
      storage,
      num_replicas: replicas,
      retention: RetentionPolicy.Limits,
      discard,
      max_age: nanos(maxAge),
      max_bytes: maxBytes,
      max_msgs: maxMessages,
      duplicate_window: nanos(duplicateWindow),
      allow_msg_ttl: true,
      allow_direct: true,
      ...(partitions > 1 && { metadata: { [partitionsMark]: String(partitions) } }),
    } satisfies Partial<StreamConfig>;
    const made = await this.#find(place, streamNameInUse, () => this.#manager.streams.add(config));
    // Somebody else was quicker, and made it otherwise.
    return made ?? this.#ask(place, () => this.#manager.streams.info(name));
  }

  async #makePosition(
    request: SubscribeRequest<NatsNative>,
    place: Place,
    name: string,
    wanted: Partial<ConsumerConfig>,
  ): Promise<ConsumerInfo> {
    if (this.#settings.topology === "check" && request.durable)
      throw missing(place, `the consumer ${quote(name)} of the JetStream stream ${quote(place.name)}`);
    const made = await this.#find(place, consumerExists, () => this.#manager.consumers.add(place.name, wanted));
    return made ?? this.#ask(place, () => this.#manager.consumers.info(place.name, name));
  }

  async #adapted(place: Place, info: ConsumerInfo, wanted: Partial<ConsumerConfig>): Promise<ConsumerInfo> {
    const { ack_wait, max_ack_pending } = info.config;
    const isSame = ack_wait === wanted.ack_wait && max_ack_pending === wanted.max_ack_pending;
    if (isSame || this.#settings.topology === "check") return info;
    const change = { ack_wait: wanted.ack_wait ?? 0, max_ack_pending: wanted.max_ack_pending ?? -1 };
    return this.#ask(place, () => this.#manager.consumers.update(place.name, info.name, change));
  }

  /** What is asked for, or `undefined` where the broker answers with this code. */
  async #find<Thing>(place: Place, code: number, ask: () => Promise<Thing>): Promise<Thing | undefined> {
    try {
      return await this.#link.answer(ask);
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === code) return undefined;
      throw refusal(place, error);
    }
  }

  async #ask<Thing>(place: Place, ask: () => Promise<Thing>): Promise<Thing> {
    try {
      return await this.#link.answer(ask);
    } catch (error) {
      throw refusal(place, error);
    }
  }
}

/** Whether it is no use to try again. */
export function isFinal(error: unknown): boolean {
  return isEventDriverError(error) && (error.code === "ERR_TOPOLOGY" || error.code === "ERR_CONNECTION_CLOSED");
}

/** Whether a subject with wildcards takes one without. */
function covers(pattern: string, subject: string): boolean {
  const tokens = subject.split(".");
  const parts = pattern.split(".");
  if (parts.at(-1) === ">")
    return tokens.length >= parts.length && parts.slice(0, -1).every((part, index) => part === "*" || part === tokens[index]);
  return tokens.length === parts.length && parts.every((part, index) => part === "*" || part === tokens[index]);
}

function missing({ stream }: Place, what: string): EventDriverError {
  return new EventDriverError("ERR_TOPOLOGY", {
    message: `stream ${quote(stream)} needs ${what}, which is missing, and topology is "check"; make it at the broker`,
    retryable: true,
  });
}

function unfit({ stream, name }: Place, problem: string): EventDriverError {
  return new EventDriverError("ERR_TOPOLOGY", {
    message: `stream ${quote(stream)} cannot be used: the JetStream stream ${quote(name)} ${problem}; change that at the broker, or say in the option streams where it is`,
    retryable: true,
  });
}

function refusal({ stream, name }: Place, cause: unknown): unknown {
  if (isEventDriverError(cause)) return cause;
  // What is wrong with the request stays wrong. All else, as a leader that is missing, passes.
  if (cause instanceof JetStreamApiError && cause.status < 500)
    return new EventDriverError("ERR_TOPOLOGY", {
      message: `stream ${quote(stream)} cannot be used: of the JetStream stream ${quote(name)} NATS says ${quote(cause.message)} (${cause.code})`,
      retryable: true,
      cause,
    });
  return new EventDriverError("ERR_CONNECTION_FAILED", {
    message: `JetStream does not answer for stream ${quote(stream)}: it starts, has no leader, or is not enabled for this user; try it again`,
    retryable: true,
    cause,
  });
}

function noReset({ stream }: Place): EventDriverError {
  return new EventDriverError("ERR_UNSUPPORTED", {
    message: `a position of stream ${quote(stream)} cannot be put back where topology is "check", because it would have to be made anew; take another name`,
    retryable: false,
  });
}
