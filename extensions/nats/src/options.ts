import type { BindingOptions } from "@event-driver/cloudevents/bindings";
import type { NodeConnectionOptions } from "@nats-io/transport-node";
import type { ConnectionOptions } from "event-driver/streams";

import { invalidOption } from "event-driver";

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
}

/** Where a stream is at the broker. */
export interface NatsPlace extends NatsStreamOptions {
  /**
   * The name of the JetStream stream.
   * @default the stream's own name, encoded
   */
  readonly name?: string;
  /**
   * The subject that is published to, and that consumers are filtered by. Without wildcards.
   * @default the stream's own name, encoded
   */
  readonly subject?: string;
}

export interface NatsConnectionOptions extends ConnectionOptions, BindingOptions {
  /** A server, or several of a cluster: `nats://host:4222`, `tls://host:4222`. What a URL says of a user is used to sign in. */
  readonly url: string | readonly string[];
  /** What the client of NATS takes beside that: credentials, TLS, name. How it comes back is decided here. */
  readonly clientOptions?: Omit<NodeConnectionOptions, "servers" | "port">;
  /**
   * Milliseconds for the first connection.
   * @default 10_000
   */
  readonly connectTimeout?: number;
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
  /**
   * Of JetStream's API, where another domain or an imported account is to be used.
   * @default "$JS.API"
   */
  readonly apiPrefix?: string;
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

export type Settings = Required<
  Pick<
    NatsConnectionOptions,
    "clientOptions" | "connectTimeout" | "publishTimeout" | "topology" | "stream" | "streams" | "deduplicate" | "apiPrefix"
  >
> & {
  /** As `host:port`, without what their URLs say of users. */
  readonly servers: readonly string[];
};

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function settingsOf(options: NatsConnectionOptions): Settings {
  const {
    url,
    clientOptions = {},
    connectTimeout = 10_000,
    publishTimeout = 30_000,
    topology = "create",
    stream = {},
    streams = {},
    deduplicate = true,
    apiPrefix = "$JS.API",
  } = options;
  const { servers, signIn } = endpointsOf(url);
  requireDuration("connectTimeout", connectTimeout);
  requireDuration("publishTimeout", publishTimeout);
  if (topology !== "create" && topology !== "check") throw invalid("topology", topology, '"create" or "check"');
  if (typeof deduplicate !== "boolean") throw invalid("deduplicate", deduplicate, "true or false");
  if (!isSubject(apiPrefix)) throw invalid("apiPrefix", apiPrefix, "a subject without wildcards");
  requireStream("stream", stream, publishTimeout);
  for (const [name, place] of Object.entries(streams))
    requirePlace(`streams[${JSON.stringify(name)}]`, { ...stream, ...place }, publishTimeout);
  return {
    servers,
    clientOptions: { ...signIn, ...clientOptions },
    connectTimeout,
    publishTimeout,
    topology,
    stream,
    streams,
    deduplicate,
    apiPrefix,
  };
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

/** The client passes over all of a URL but its host and its port. */
function endpointsOf(url: unknown): { readonly servers: readonly string[]; readonly signIn: NodeConnectionOptions } {
  const urls = (Array.isArray(url) ? url : [url]).map(parsed);
  if (urls.length === 0) throw invalid("url", url, "at least one");
  const user = urls.find(({ username }) => username !== "");
  const [name, password] = [user?.username, user?.password].map((part) => decodeURIComponent(part ?? ""));
  return {
    servers: urls.map(({ hostname, port }) => `${hostname}:${port || "4222"}`),
    signIn: {
      ...(name && (password ? { user: name, pass: password } : { token: name })),
      ...(urls.some(({ protocol }) => protocol === "tls:") && { tls: {} }),
    },
  };
}

function parsed(url: unknown): URL {
  const full = typeof url === "string" && !url.includes("://") ? `nats://${url}` : String(url);
  const known = URL.canParse(full) ? new URL(full) : undefined;
  const isGood = known !== undefined && ["nats:", "tls:"].includes(known.protocol) && known.hostname !== "";
  // Not what was given: it may hold a password.
  if (!isGood) throw invalid("url", typeof url === "string" ? "another text" : url, "nats://host:4222, tls://host:4222, or a list of such");
  return known;
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
  } = stream;
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > 5)
    throw invalid(`${option}.replicas`, replicas, "a whole number from 1 to 5");
  if (storage !== "file" && storage !== "memory") throw invalid(`${option}.storage`, storage, '"file" or "memory"');
  if (discard !== "old" && discard !== "new") throw invalid(`${option}.discard`, discard, '"old" or "new"');
  if (maxAge !== undefined) requireDuration(`${option}.maxAge`, maxAge);
  for (const [limit, given] of Object.entries({ maxBytes, maxMessages })) {
    if (given !== undefined && !(Number.isInteger(given) && given >= 1))
      throw invalid(`${option}.${limit}`, given, "a whole number from 1");
  }
  // A message is sent again when its answer was lost; the broker must still know it then.
  if (!(duplicateWindow >= publishTimeout && duplicateWindow <= (maxAge ?? Infinity)))
    throw invalid(`${option}.duplicateWindow`, duplicateWindow, `milliseconds from publishTimeout (${publishTimeout}) up to maxAge`);
}

/** Milliseconds. */
export const defaultDuplicateWindow = 120_000;
/** Milliseconds; whoever subscribes says another one, or the same. */
export const defaultAckWait = 30_000;

function requireDuration(option: string, given: number): void {
  if (!(given > 0 && given < Infinity)) throw invalid(option, given, "milliseconds above 0");
}

function isSubject(given: unknown, withWildcards: boolean = false): boolean {
  if (typeof given !== "string" || !/^[^\s.]+(\.[^\s.]+)*$/.test(given)) return false;
  return withWildcards || !/(^|\.)[*>](\.|$)/.test(given);
}

function invalid(option: string, given: unknown, allowed: string): Error {
  return invalidOption("natsConnection", option, given, allowed);
}
