import { type Clock, EventDriverError, invalidOption, type Logger, quote, silentLogger, systemClock } from "event-driver";
import type { BindingOptions } from "@event-driver/cloudevents/bindings";
import type { ConnectionOptions } from "event-driver/streams";
import type { IClientOptions } from "mqtt";

/** What of the client's own options the connection decides itself. */
type Reserved =
  | "autoAssignTopicAlias"
  | "clean"
  | "clientId"
  | "connectTimeout"
  | "customHandleAcks"
  | "incomingStore"
  | "manualConnect"
  | "messageIdProvider"
  | "outgoingStore"
  | "protocolVersion"
  | "queueQoSZero"
  | "reconnectOnConnackError"
  | "reconnectPeriod"
  | "resubscribe"
  | "servers"
  | "will";

/** The options of MQTT.js that a connection passes on: credentials, TLS, keep-alive, proxies, websockets. */
export type MqttClientOptions = Omit<IClientOptions, Reserved>;

export interface MqttConnectionOptions extends ConnectionOptions, BindingOptions {
  /**
   * Where the broker is: `mqtt:`, `mqtts:`, `ws:` or `wss:`. Of several servers the next one is tried when one does not answer. User and password may stand in
   * the first one, escaped as in any URL.
   */
  readonly url: string | readonly string[];
  /**
   * Options of the client itself, such as `username`, `password`, `ca`, `cert`, `key`, `keepalive`.
   * @default none
   */
  readonly clientOptions?: MqttClientOptions;
  /**
   * What the client identifiers of all sessions begin with: letters, digits, `.`, `_` and `-`, at most 64. Processes that share names must have the same.
   * @default "event-driver"
   */
  readonly clientId?: string;
  /**
   * The quality of service that is published and subscribed with. With 2 the broker and a process that lives on take no message twice from each other, at
   * twice the packets.
   * @default 1
   */
  readonly qos?: 1 | 2;
  /**
   * Whether the broker keeps the last message of the stream as a retained one, given the stream.
   * @default never
   */
  readonly retain?: (stream: string) => boolean;
  /**
   * How long, in milliseconds, the broker keeps a position that nobody is subscribed under, and what waits there.
   * @default 604_800_000, seven days
   */
  readonly sessionExpiry?: number;
  /**
   * Milliseconds after which the others of a name take over what one of them has left behind.
   * @default 15_000
   */
  readonly takeOverAfter?: number;
  /**
   * Milliseconds until the broker must have answered at first.
   * @default 10_000
   */
  readonly connectTimeout?: number;
}

/** What only MQTT has. */
export interface MqttNative {
  /**
   * What to subscribe to instead of the stream's topic: a topic filter as the broker understands it, wildcards included. The stream is then only a word for
   * it.
   * @default the topic of the stream
   */
  readonly filter?: string;
  /**
   * Whether retained messages are delivered when the position is new. Only with `serial`: brokers send none to those who share.
   * @default false
   */
  readonly retained?: boolean;
}

/** The options with their defaults. */
export interface MqttSettings {
  readonly urls: readonly [string, ...string[]];
  /** Where the broker is, as errors and logs may show it. */
  readonly place: string;
  readonly clientOptions: MqttClientOptions;
  readonly clientId: string;
  readonly qos: 1 | 2;
  readonly retain: (stream: string) => boolean;
  /** Seconds. */
  readonly sessionExpiry: number;
  readonly takeOverAfter: number;
  readonly connectTimeout: number;
  readonly logger: Logger;
  readonly clock: Clock;
}

const factory = "mqttConnection";
const protocols: readonly string[] = ["mqtt:", "mqtts:", "ws:", "wss:"];
const longestExpiry = 0xffff_fffe;

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function settingsOf(options: MqttConnectionOptions): MqttSettings {
  const { clientOptions = {}, clientId = "event-driver", qos = 1, retain = () => false } = options;
  const { sessionExpiry = 604_800_000, takeOverAfter = 15_000, connectTimeout = 10_000 } = options;
  const urls = urlsOf(options.url);
  if (typeof clientOptions !== "object" || clientOptions === null)
    throw invalidOption(factory, "clientOptions", clientOptions, "options of MQTT.js");
  if (!/^[\w.-]{1,64}$/.test(clientId))
    throw invalidOption(factory, "clientId", clientId, "1 to 64 letters, digits, dots, hyphens and underscores");
  if (qos !== 1 && qos !== 2) throw invalidOption(factory, "qos", qos, "1 or 2");
  if (typeof retain !== "function") throw invalidOption(factory, "retain", retain, "a function of a stream");
  if (!(sessionExpiry >= 60_000)) throw invalidOption(factory, "sessionExpiry", sessionExpiry, "milliseconds from 60_000");
  if (!(takeOverAfter > 0 && takeOverAfter < Infinity))
    throw invalidOption(factory, "takeOverAfter", takeOverAfter, "milliseconds above 0");
  if (!(connectTimeout > 0 && connectTimeout < Infinity))
    throw invalidOption(factory, "connectTimeout", connectTimeout, "milliseconds above 0");
  return {
    urls,
    place: urls.map(placeOf).join(", "),
    clientOptions: { ...signInOf(urls[0]), ...clientOptions },
    clientId,
    qos,
    retain,
    sessionExpiry: Math.min(Math.ceil(sessionExpiry / 1_000), longestExpiry),
    takeOverAfter,
    connectTimeout,
    logger: options.logger ?? silentLogger,
    clock: options.clock ?? systemClock,
  };
}

/** What is asked of one subscription beyond what every broker has; the engine has checked the rest. */
export function nativeOf(
  native: MqttNative | undefined,
  exclusive: boolean,
): { readonly filter: string | undefined; readonly retained: boolean } {
  const { filter, retained = false } = native ?? {};
  if (filter !== undefined && !isFilter(filter)) throw invalidOption("subscribe", "native.filter", filter, "a topic filter without $share");
  if (typeof retained !== "boolean") throw invalidOption("subscribe", "native.retained", retained, "true or false");
  if (retained && !exclusive) {
    throw new EventDriverError("ERR_UNSUPPORTED", {
      message: "subscribe: mqtt cannot do native.retained where a name may be shared; add serial: true",
      retryable: false,
    });
  }
  return { filter, retained };
}

function isFilter(filter: unknown): boolean {
  if (typeof filter !== "string" || filter === "" || filter.includes("\0") || filter.startsWith("$share/")) return false;
  return filter.split("/").every((level, index, levels) => {
    if (level === "#") return index === levels.length - 1;
    return level === "+" || !/[+#]/.test(level);
  });
}

function urlsOf(url: unknown): MqttSettings["urls"] {
  const urls: readonly unknown[] = Array.isArray(url) ? url : [url];
  const [first, ...others] = urls.map(checkedUrl);
  if (first === undefined) throw invalidOption(factory, "url", url, "at least one");
  return [first, ...others];
}

/** Never shows what was given: it may hold a password. */
function checkedUrl(url: unknown): string {
  const allowed = `a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(", ")}`;
  const parsed = typeof url === "string" ? URL.parse(url) : null;
  if (typeof url !== "string" || parsed === null || !protocols.includes(parsed.protocol) || parsed.hostname === "")
    throw invalidOption(factory, "url", parsed === null ? typeof url : `${parsed.protocol}//...`, allowed);
  if (parsed.searchParams.has("clientId")) throw invalidOption(factory, "url", "one with a clientId", "the option clientId instead");
  return url;
}

/** Here, because the client takes a password apart at its last colon. The options have the last word. */
function signInOf(url: string): Pick<IClientOptions, "username" | "password"> {
  const { username, password } = new URL(url);
  return {
    ...(username !== "" && { username: decodedIn(username) }),
    ...(password !== "" && { password: decodedIn(password) }),
  };
}

function decodedIn(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // What is wrong with it would show some of it.
    throw invalidOption(factory, "url", "one with a user or a password that cannot be decoded", "one where % is written as %25");
  }
}

/** The URL without its user. */
export function addressOf(url: string): string {
  const address = new URL(url);
  if (address.username === "" && address.password === "") return url;
  return Object.assign(address, { username: "", password: "" }).href;
}

function placeOf(url: string): string {
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`;
}

/** A broker that did not answer, or that refused. */
export function notConnected(place: string, what: string, retryable: boolean, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_FAILED", { message: `mqtt at ${place} ${what}`, retryable, cause });
}

export function busy(stream: string, name: string): EventDriverError {
  return new EventDriverError("ERR_SUBSCRIPTION_BUSY", {
    message: `name ${quote(name)} of stream ${quote(stream)} has other subscriptions, and one of them all wants it alone; close the others or try again`,
    retryable: true,
  });
}
