import type { BindingOptions } from "@event-driver/cloudevents/bindings";
import type { ConnectionOptions } from "event-driver/streams";
import type { ConnectionOptions as ClientOptions } from "rabbitmq-client";

import { invalidOption } from "event-driver";
import { isIP } from "node:net";

import { frameMax, slots } from "./records.ts";

export interface RabbitmqConnectionOptions extends ConnectionOptions, BindingOptions {
  /**
   * A server, or several of a cluster, which are tried in turn: `amqp://user:password@host:5672/vhost`, `amqps://...` for TLS. User and virtual host are those of
   * the first one, and escaped as in any URL.
   */
  readonly url: string | readonly string[];
  /** What `rabbitmq-client` takes beside that: credentials, TLS, heartbeat, pauses between attempts to connect. */
  readonly clientOptions?: Omit<ClientOptions, "url" | "hosts" | "hostname" | "port" | "vhost">;
  /**
   * Milliseconds for the first connection.
   * @default 10_000
   */
  readonly connectTimeout?: number;
  /**
   * Whether exchanges and queues that are missing are made, or are an error.
   * @default "create"
   */
  readonly topology?: "create" | "check";
  /**
   * On how many nodes of a cluster each queue is kept.
   * @default what the broker does, which is up to three
   */
  readonly replicas?: number;
  /**
   * Further arguments of each name's queue when it is made, such as `x-max-length`. All that share a name must agree on them; what a policy of the broker can
   * say is better said there.
   * @default none
   */
  readonly queueArguments?: Readonly<Record<string, string | number | boolean>>;
  /**
   * Whether of several subscriptions of a name one works and the others wait for its end. It keeps each key in order over all of them; else they share the
   * work, and each by itself keeps the order of what it gets.
   * @default false
   */
  readonly singleActiveConsumer?: boolean;
  /**
   * Into how many queues each name is divided by key, from 1 to 60. With more than one each key stays in order over all subscriptions of a name, and they share
   * the work: each member works on whole partitions, so have several for each member. It is decided when a name is made, and all that share it must agree.
   * @default 1
   */
  readonly partitions?: number;
  /**
   * What becomes of a message for a stream that nobody has subscribed to: it is gone, or `publish` rejects with `ERR_PUBLISH_FAILED`.
   * @default "drop"
   */
  readonly unrouted?: "drop" | "refuse";
  /**
   * Milliseconds between two looks at how many messages wait, for the event `lag`; `Infinity` for none.
   * @default 15_000
   */
  readonly lagInterval?: number;
}

export interface Settings extends Required<
  Pick<RabbitmqConnectionOptions, "connectTimeout" | "topology" | "unrouted" | "lagInterval" | "queueArguments">
> {
  readonly replicas: number | undefined;
  readonly isOrdered: boolean;
  readonly partitions: number;
  readonly client: ClientOptions;
  /** Where it leads, without users, for errors and logs. */
  readonly servers: string;
}

/** Each has two slots at least, so that none has much more than another. */
const mostPartitions = slots / 2;

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function settingsOf(options: RabbitmqConnectionOptions): Settings {
  const {
    connectTimeout = 10_000,
    topology = "create",
    replicas,
    singleActiveConsumer: isOrdered = false,
    partitions = 1,
    unrouted = "drop",
    queueArguments = {},
    lagInterval = 15_000,
  } = options;
  requireDuration("connectTimeout", connectTimeout);
  if (topology !== "create" && topology !== "check") throw invalid("topology", topology, '"create" or "check"');
  if (replicas !== undefined && !(Number.isInteger(replicas) && replicas >= 1))
    throw invalid("replicas", replicas, "a whole number from 1, or none");
  if (typeof isOrdered !== "boolean") throw invalid("singleActiveConsumer", isOrdered, "true or false");
  if (!(Number.isInteger(partitions) && partitions >= 1 && partitions <= mostPartitions))
    throw invalid("partitions", partitions, `a whole number from 1 to ${mostPartitions}`);
  if (isOrdered && partitions > 1)
    throw invalid("partitions", partitions, "1 where singleActiveConsumer is true: partitions keep the order of keys by themselves");
  if (unrouted !== "drop" && unrouted !== "refuse") throw invalid("unrouted", unrouted, '"drop" or "refuse"');
  if (lagInterval !== Infinity) requireDuration("lagInterval", lagInterval);
  if (typeof queueArguments !== "object" || queueArguments === null)
    throw invalid("queueArguments", queueArguments, "an object of arguments and their values");
  const urls = urlsOf(options.url);
  return {
    connectTimeout,
    topology,
    replicas,
    isOrdered,
    partitions,
    unrouted,
    lagInterval,
    queueArguments,
    client: clientOf(urls, options),
    servers: urls.map(serverOf).join(", "),
  };
}

type Urls = readonly [URL, ...URL[]];

/** The errors do not say what was given: it may hold a password. */
function urlsOf(url: unknown): Urls {
  const given: readonly unknown[] = Array.isArray(url) ? url : [url];
  const [first, ...others] = given.map((each) => {
    const parsed = typeof each === "string" ? URL.parse(each) : null;
    if (parsed === null || !/^amqps?:$/.test(parsed.protocol) || parsed.hostname === "")
      throw invalid("url", typeof each, "amqp://host:5672, amqps://host:5671, or a list of such");
    return parsed;
  });
  if (first === undefined) throw invalid("url", "an empty list", "amqp://host:5672, amqps://host:5671, or a list of such");
  if (others.some(({ protocol }) => protocol !== first.protocol))
    throw invalid("url", "a list of both", "either amqp:// or amqps:// for all");
  // The client takes a list apart at the first colon.
  if (others.length > 0 && [first, ...others].some(isNumericV6))
    throw invalid("url", "a list with IPv6 addresses", "names or IPv4 addresses");
  return [first, ...others];
}

function clientOf(urls: Urls, { clientOptions, client }: RabbitmqConnectionOptions): ClientOptions {
  const [first] = urls;
  return {
    // What differs from the client's own: frames as large as the broker takes them, sent at once, and less time until it is noticed that nobody is there.
    frameMax,
    noDelay: true,
    heartbeat: 20,
    retryLow: 100,
    retryHigh: 10_000,
    ...(client !== undefined && { connectionName: client }),
    ...(first.username !== "" && { username: decoded(first.username), password: decoded(first.password) }),
    ...clientOptions,
    ...(first.protocol === "amqps:" && { tls: tlsOf(urls, clientOptions?.tls) }),
    vhost: decoded(first.pathname.slice(1)) || "/",
    ...(urls.length === 1 ? { hostname: hostOf(first), port: portOf(first) } : { hosts: urls.map(serverOf) }),
  };
}

/** The client tells a server no name to choose its certificate by, and several servers may have several names. */
function tlsOf([first, ...others]: Urls, given: ClientOptions["tls"]): NonNullable<ClientOptions["tls"]> {
  if (others.length > 0 || isIP(hostOf(first)) !== 0) return given || true;
  return { servername: first.hostname, ...(typeof given === "object" && given) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // What is wrong with it would show some of it.
    throw invalid("url", "one with a part that cannot be decoded", "one where % of a user, a password or a virtual host is written as %25");
  }
}

function serverOf(url: URL): string {
  return `${url.hostname}:${portOf(url)}`;
}

function portOf({ port, protocol }: URL): string {
  return port || (protocol === "amqps:" ? "5671" : "5672");
}

/** The brackets are of the URL alone. */
function hostOf(url: URL): string {
  return isNumericV6(url) ? url.hostname.slice(1, -1) : url.hostname;
}

function isNumericV6({ hostname }: URL): boolean {
  return hostname.startsWith("[");
}

function requireDuration(option: string, given: number): void {
  if (!(given > 0 && given < Infinity)) throw invalid(option, given, "milliseconds above 0");
}

function invalid(option: string, given: unknown, allowed: string): Error {
  return invalidOption("rabbitmqConnection", option, given, allowed);
}
