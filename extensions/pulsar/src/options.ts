import type { BindingOptions } from "@event-driver/cloudevents/bindings";
import type { ConnectionOptions } from "event-driver/streams";
import type { Agent } from "node:http";
import type { SecureContextOptions } from "node:tls";

import { type Clock, invalidOption, type Logger, type Message, silentLogger, systemClock } from "event-driver";

export interface PulsarConnectionOptions extends ConnectionOptions, BindingOptions {
  /** Where the WebSocket API is: `pulsar+ws://host:port`, or `pulsar+wss://host:port` over TLS. Of several, the next one is tried when one does not answer. */
  readonly url: string | readonly string[];
  /**
   * Where the administration is, `http://host:port` or `https://host:port`; `false` where it is out of reach: then topics are made by the broker itself, and
   * there is no `reset` and no backfill by time or position.
   * @default the same hosts and ports as `url`
   */
  readonly adminUrl?: string | readonly string[] | false;
  /** @default "public" */
  readonly tenant?: string;
  /** @default "default" */
  readonly namespace?: string;
  /**
   * A token, as Pulsar's token authentication or OAuth takes it. A function is asked before each request, and so can renew it.
   * @default none
   */
  readonly token?: string | (() => string | Promise<string>);
  /**
   * Whether a topic that is missing is made, or is an error. Subscriptions are positions and are made in both cases.
   * @default "create"
   */
  readonly topology?: "create" | "check";
  /**
   * How many partitions a topic has. One that is there with another number is refused.
   * @default 0 for topics that are made, which is none; any number where they are there
   */
  readonly partitions?: number;
  /**
   * How long a topic that is made keeps what nobody needs any more, in milliseconds: without it Pulsar removes what is published while nobody is subscribed,
   * dead letters too. `false` leaves it to the namespace.
   * @default 1_209_600_000, 14 days
   */
  readonly retention?: number | false;
  /**
   * Milliseconds within which the broker has to answer, at the beginning and for each attempt later on.
   * @default 10_000
   */
  readonly connectTimeout?: number;
  /**
   * Milliseconds between two pings of a socket. One that leaves two of them unanswered is given up.
   * @default 10_000
   */
  readonly heartbeat?: number;
  /**
   * Milliseconds between two looks at how many messages wait, for the event `lag`: one request for each topic that is subscribed to. `Infinity` for none.
   * @default 15_000
   */
  readonly lagInterval?: number;
  /**
   * When a message is delivered, in epoch milliseconds; `undefined` for at once. Pulsar may be early by its `delayedDeliveryTickTimeMillis`, a second by
   * default. Whoever comes behind does not wait, and subscriptions of the types `"Failover"` and `"Exclusive"`, as with `serial`, are given it at once.
   * @default every message at once
   */
  readonly deliverAt?: (stream: string, message: Message) => number | undefined;
  /** What opens the sockets. All but `agent` holds for the administration, too. */
  readonly clientOptions?: PulsarClientOptions;
}

/** How the server is reached. */
export interface PulsarClientOptions extends Pick<SecureContextOptions, "ca" | "cert" | "key" | "pfx" | "passphrase"> {
  /** Sent with each request. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Whether a certificate that nobody trusted has signed is refused.
   * @default true
   */
  readonly rejectUnauthorized?: boolean;
  /** For a proxy on the way. */
  readonly agent?: Agent;
}

/** What only Pulsar has, for one subscription. */
export interface PulsarNative {
  /**
   * How members of a name share the work. `"Shared"` keeps no order by key; `"Failover"` gives everything to one member while the others wait.
   * @default "Key_Shared", and "Exclusive" where `serial` is true
   */
  readonly subscriptionType?: "Key_Shared" | "Shared" | "Failover" | "Exclusive";
  /**
   * Members with a smaller number are served first.
   * @default 0
   */
  readonly priorityLevel?: number;
  /**
   * Milliseconds after which Pulsar delivers again what a loop gives back with `nack`; less than 100 counts as 100.
   * @default 100
   */
  readonly redeliveryDelay?: number;
  /**
   * Pulsar's own dead letters, for what a loop gives back more often than that. The topic is a whole one, `persistent://tenant/namespace/topic`.
   * @default none
   */
  readonly deadLetterPolicy?: { readonly maxRedeliverCount: number; readonly topic: string };
}

/** Complete and checked. */
export interface PulsarSettings {
  /** `ws:` or `wss:`. */
  readonly servers: readonly [URL, ...URL[]];
  /** `http:` or `https:`; none where the administration is out of reach. */
  readonly admins: readonly URL[];
  readonly tenant: string;
  readonly namespace: string;
  readonly token: () => string | undefined | Promise<string>;
  readonly topology: "create" | "check";
  readonly partitions: number | undefined;
  readonly retention: number | false;
  readonly connectTimeout: number;
  readonly heartbeat: number;
  readonly lagInterval: number;
  readonly deliverAt: (stream: string, message: Message) => number | undefined;
  readonly clientOptions: PulsarClientOptions;
  readonly clock: Clock;
  readonly logger: Logger;
}

const factory = "pulsarConnection";

const atOnce = (): undefined => undefined;

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function settingsOf(options: PulsarConnectionOptions): PulsarSettings {
  const {
    url,
    adminUrl,
    tenant = "public",
    namespace = "default",
    token,
    topology = "create",
    partitions,
    retention = 14 * 86_400_000,
  } = options;
  const {
    connectTimeout = 10_000,
    heartbeat = 10_000,
    lagInterval = 15_000,
    deliverAt = atOnce,
    clientOptions = {},
    clock = systemClock,
    logger = silentLogger,
  } = options;
  const servers = urlsOf("url", url, { "pulsar+ws:": "ws:", "pulsar+wss:": "wss:" });
  requireName("tenant", tenant);
  requireName("namespace", namespace);
  if (token !== undefined && typeof token !== "function" && (typeof token !== "string" || token === ""))
    throw invalidOption(factory, "token", typeof token, "a string that is not empty, or a function");
  if (topology !== "create" && topology !== "check") throw invalidOption(factory, "topology", topology, '"create" or "check"');
  if (topology === "check" && adminUrl === false)
    throw invalidOption(factory, "adminUrl", adminUrl, 'an address where topology is "check": topics are looked up there');
  if (partitions !== undefined && !(Number.isInteger(partitions) && partitions >= 0))
    throw invalidOption(factory, "partitions", partitions, "a whole number from 0");
  if (partitions && adminUrl === false) throw invalidOption(factory, "adminUrl", adminUrl, "an address where partitions is given");
  if (retention !== false) requireTime("retention", retention);
  requireTime("connectTimeout", connectTimeout);
  requireTime("heartbeat", heartbeat);
  if (lagInterval !== Infinity) requireTime("lagInterval", lagInterval);
  if (typeof deliverAt !== "function") throw invalidOption(factory, "deliverAt", deliverAt, "a function");
  return {
    servers,
    admins: adminsOf(adminUrl, servers),
    tenant,
    namespace,
    token: typeof token === "function" ? token : () => token,
    topology,
    partitions,
    retention,
    connectTimeout,
    heartbeat,
    lagInterval,
    deliverAt,
    clientOptions,
    clock,
    logger,
  };
}

function adminsOf(adminUrl: PulsarConnectionOptions["adminUrl"], servers: readonly URL[]): readonly URL[] {
  if (adminUrl === false) return [];
  if (adminUrl !== undefined) return urlsOf("adminUrl", adminUrl, { "http:": "http:", "https:": "https:" });
  return servers.map((server) => new URL(server.href.replace(/^ws/, "http")));
}

/** Each with another scheme, and without a slash at the end. */
function urlsOf(option: string, given: string | readonly string[], schemes: Readonly<Record<string, string>>): [URL, ...URL[]] {
  const [first, ...others] = (typeof given === "string" ? [given] : Array.isArray(given) ? given : []).map((text: unknown) => {
    const url = typeof text === "string" && URL.canParse(text) ? new URL(text) : undefined;
    const scheme = url === undefined ? undefined : schemes[url.protocol];
    if (url === undefined || scheme === undefined || url.host === "") {
      throw invalidOption(
        factory,
        option,
        url?.protocol ?? typeof text,
        `${Object.keys(schemes).join("//host:port or ")}//host:port, or a list of such`,
      );
    }
    // It is not shown: whoever reads the error need not know the secret.
    if (url.username !== "" || url.password !== "" || url.search !== "")
      throw invalidOption(factory, option, "an address with a user or a query", "one without; give a token");
    return new URL(url.href.replace(url.protocol, scheme));
  });
  if (first === undefined) throw invalidOption(factory, option, given, "an address, or a list that is not empty");
  return [first, ...others];
}

function requireName(option: string, given: unknown): void {
  if (typeof given === "string" && /^[-=:.\w]+$/.test(given)) return;
  throw invalidOption(factory, option, given, "letters, digits and - = : . _");
}

function requireTime(option: string, given: number): void {
  if (!(given > 0 && given < Infinity)) throw invalidOption(factory, option, given, "milliseconds above 0");
}
