import type { BindingOptions } from "@event-driver/cloudevents/bindings";
import type { ConnectionOptions } from "event-driver/streams";

import { invalidOption } from "event-driver";

import { type Endpoints, endpointsOf, isSubject, type NatsServerOptions, requireDuration } from "./endpoints.ts";

/** How a stream is made at the broker, where it is missing. What exists is used as it is. */
export interface NatsStreamOptions {
  /**
   * How many servers of a cluster keep each message: 1, 3 or 5.
   * @default 1
   */
  readonly replicas?: number;
  /** @default "file" */
  readonly storage?: "file" | "memory";
  /**
   * Milliseconds after which messages are removed, done or not.
   * @default none: they are kept
   */
  readonly maxAge?: number;
  /**
   * How many bytes of messages are kept.
   * @default none
   */
  readonly maxBytes?: number;
  /**
   * How many messages are kept.
   * @default none
   */
  readonly maxMessages?: number;
  /**
   * What happens when the stream is full: the oldest messages are removed, or `publish` rejects.
   * @default "old"
   */
  readonly discard?: "old" | "new";
  /**
   * Milliseconds for which the broker knows again what it has.
   * @default 120_000
   */
  readonly duplicateWindow?: number;
  /**
   * In how many parts a stream is, by the keys of its messages: 1 to 256. With more than 1 a name keeps the order of each key over all its subscriptions, and has a
   * position for each part, which one subscription at a time works on. It cannot be changed afterwards.
   * @default what a stream that exists has; 1 for one that is made
   */
  readonly partitions?: number;
}

/** Where a stream is at the broker. */
export interface NatsPlace extends NatsStreamOptions {
  /**
   * The name of the JetStream stream.
   * @default the stream's own name, encoded
   */
  readonly name?: string;
  /**
   * The subject that is published to, and that consumers are filtered by; where there are partitions, what stands before their numbers. Without wildcards.
   * @default the stream's own name, encoded
   */
  readonly subject?: string;
}

export interface NatsConnectionOptions extends ConnectionOptions, BindingOptions, NatsServerOptions {
  /**
   * Milliseconds after which a message that the broker has not confirmed is given up, also while it is out of reach. Not longer than the duplicate window.
   * @default 30_000
   */
  readonly publishTimeout?: number;
  /**
   * Whether streams and positions that are missing are made, or are an error.
   * @default "create"
   */
  readonly topology?: "create" | "check";
  /** How streams are made. */
  readonly stream?: NatsStreamOptions;
  /**
   * What differs for single streams, by their names: where they are at the broker, and how they are made.
   * @default nothing
   */
  readonly streams?: Readonly<Record<string, NatsPlace>>;
  /**
   * Whether the broker refuses to take the same event twice within the duplicate window. A dead letter that is published again counts as another one.
   * @default true
   */
  readonly deduplicate?: boolean;
}

/** What a subscription can ask of NATS alone. */
export interface NatsNative {
  /**
   * Only messages of these subjects, wildcards included, where the JetStream stream has more than the stream's own one. A position keeps what it began with.
   * @default the subject of the stream
   */
  readonly filterSubjects?: readonly string[];
  /**
   * Milliseconds after which the broker removes a position that is not durable, when its last subscription has gone without a word.
   * @default 300_000
   */
  readonly inactiveThreshold?: number;
}

export type Settings = Endpoints &
  Required<Pick<NatsConnectionOptions, "publishTimeout" | "topology" | "stream" | "streams" | "deduplicate">>;

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function settingsOf(options: NatsConnectionOptions): Settings {
  const { publishTimeout = 30_000, topology = "create", stream = {}, streams = {}, deduplicate = true } = options;
  const endpoints = endpointsOf("natsConnection", options);
  requireDuration("natsConnection", "publishTimeout", publishTimeout);
  if (topology !== "create" && topology !== "check") throw invalid("topology", topology, '"create" or "check"');
  if (typeof deduplicate !== "boolean") throw invalid("deduplicate", deduplicate, "true or false");
  requireStream("stream", stream, publishTimeout);
  for (const [name, place] of Object.entries(streams))
    requirePlace(`streams[${JSON.stringify(name)}]`, { ...stream, ...place }, publishTimeout);
  return { ...endpoints, publishTimeout, topology, stream, streams, deduplicate };
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function nativeOf(native: NatsNative = {}): {
  readonly filterSubjects: readonly string[] | undefined;
  readonly inactiveThreshold: number;
} {
  const { filterSubjects, inactiveThreshold = 300_000 } = native;
  if (
    filterSubjects !== undefined &&
    !(Array.isArray(filterSubjects) && filterSubjects.length > 0 && filterSubjects.every((subject) => isSubject(subject, true)))
  )
    throw invalidOption("subscribe", "native.filterSubjects", filterSubjects, "a list of subjects");
  if (!(inactiveThreshold > 0 && inactiveThreshold < Infinity))
    throw invalidOption("subscribe", "native.inactiveThreshold", inactiveThreshold, "milliseconds above 0");
  return { filterSubjects, inactiveThreshold };
}

function requirePlace(option: string, place: NatsPlace, publishTimeout: number): void {
  const { name, subject } = place;
  if (name !== undefined && !/^[^\s.*>/\\]{1,255}$/.test(name))
    throw invalid(`${option}.name`, name, "up to 255 characters without . * > / \\ or blanks");
  if (subject !== undefined && !isSubject(subject)) throw invalid(`${option}.subject`, subject, "a subject without wildcards");
  requireStream(option, place, publishTimeout);
}

function requireStream(option: string, stream: NatsStreamOptions, publishTimeout: number): void {
  const {
    replicas = 1,
    storage = "file",
    discard = "old",
    duplicateWindow = defaultDuplicateWindow,
    maxAge,
    maxBytes,
    maxMessages,
    partitions = 1,
  } = stream;
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > 5)
    throw invalid(`${option}.replicas`, replicas, "a whole number from 1 to 5");
  if (!isPartitions(partitions)) throw invalid(`${option}.partitions`, partitions, "a whole number from 1 to 256");
  if (storage !== "file" && storage !== "memory") throw invalid(`${option}.storage`, storage, '"file" or "memory"');
  if (discard !== "old" && discard !== "new") throw invalid(`${option}.discard`, discard, '"old" or "new"');
  if (maxAge !== undefined) requireDuration("natsConnection", `${option}.maxAge`, maxAge);
  for (const [limit, given] of Object.entries({ maxBytes, maxMessages })) {
    if (given !== undefined && !(Number.isInteger(given) && given >= 1))
      throw invalid(`${option}.${limit}`, given, "a whole number from 1");
  }
  // A message is sent again when its answer was lost; the broker must still know it then.
  if (!(duplicateWindow >= publishTimeout && duplicateWindow <= (maxAge ?? Infinity)))
    throw invalid(`${option}.duplicateWindow`, duplicateWindow, `milliseconds from publishTimeout (${publishTimeout}) up to maxAge`);
}

export function isPartitions(given: number): boolean {
  return Number.isInteger(given) && given >= 1 && given <= 256;
}

/** Milliseconds. */
export const defaultDuplicateWindow = 120_000;
/** Milliseconds; whoever subscribes says another one, or the same. */
export const defaultAckWait = 30_000;

function invalid(option: string, given: unknown, allowed: string): Error {
  return invalidOption("natsConnection", option, given, allowed);
}
