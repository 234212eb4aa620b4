import type { NodeConnectionOptions } from "@nats-io/transport-node";

import { invalidOption } from "event-driver";
import { isIP } from "node:net";
import { checkServerIdentity, type ConnectionOptions } from "node:tls";

/** Where NATS is, and how to get in. */
export interface NatsServerOptions {
  /** A server, or several of a cluster: `nats://host:4222`, `tls://host:4222`. What a URL says of a user is used to sign in. */
  readonly url: string | readonly string[];
  /**
   * What the client of NATS takes beside that: credentials, TLS, name. How it comes back is decided here.
   * @default {}
   */
  readonly clientOptions?: Omit<NodeConnectionOptions, "servers" | "port">;
  /**
   * Milliseconds for the first connection.
   * @default 10_000
   */
  readonly connectTimeout?: number;
  /**
   * Of JetStream's API, where another domain or an imported account is to be used.
   * @default "$JS.API"
   */
  readonly apiPrefix?: string;
}

/** The same, complete. */
export interface Endpoints {
  /** As `host:port`, without what their URLs say of users. */
  readonly servers: readonly string[];
  readonly clientOptions: NodeConnectionOptions;
  readonly connectTimeout: number;
  readonly apiPrefix: string;
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function endpointsOf(factory: string, options: NatsServerOptions): Endpoints {
  const { url, clientOptions, connectTimeout = 10_000, apiPrefix = "$JS.API" } = options;
  const urls = (Array.isArray(url) ? url : [url]).map((each) => parsed(factory, each));
  if (urls.length === 0) throw invalidOption(factory, "url", url, "at least one");
  requireDuration(factory, "connectTimeout", connectTimeout);
  if (!isSubject(apiPrefix)) throw invalidOption(factory, "apiPrefix", apiPrefix, "a subject without wildcards");
  // The client passes over all of a URL but its host and its port.
  const servers = urls.map(({ hostname, port }) => `${hostname}:${port || "4222"}`);
  return { servers, clientOptions: withIdentity({ ...signInOf(factory, urls), ...clientOptions }, urls), connectTimeout, apiPrefix };
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function requireDuration(factory: string, option: string, given: number): void {
  if (!(given > 0 && given < Infinity)) throw invalidOption(factory, option, given, "milliseconds above 0");
}

export function isSubject(given: unknown, withWildcards: boolean = false): boolean {
  if (typeof given !== "string" || !/^[^\s.]+(\.[^\s.]+)*$/.test(given)) return false;
  return withWildcards || !/(^|\.)[*>](\.|$)/.test(given);
}

function parsed(factory: string, url: unknown): URL {
  const full = typeof url === "string" && !url.includes("://") ? `nats://${url}` : String(url);
  const known = URL.canParse(full) ? new URL(full) : undefined;
  if (known !== undefined && ["nats:", "tls:"].includes(known.protocol) && known.hostname !== "") return known;
  // Not what was given: it may hold a password.
  throw invalidOption(
    factory,
    "url",
    typeof url === "string" ? "another text" : url,
    "nats://host:4222, tls://host:4222, or a list of such",
  );
}

function signInOf(factory: string, urls: readonly URL[]): NodeConnectionOptions {
  const user = urls.find(({ username }) => username !== "");
  const name = decoded(factory, user?.username ?? "");
  const password = decoded(factory, user?.password ?? "");
  return {
    ...(name !== "" && (password === "" ? { token: name } : { user: name, pass: password })),
    ...(urls.some(({ protocol }) => protocol === "tls:") && { tls: {} }),
  };
}

function decoded(factory: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // What is wrong with it would show some of it.
    throw invalidOption(factory, "url", "one with a user or a password that cannot be decoded", "one where % is written as %25");
  }
}

/** The client takes a server that is given by its IP address for one that is called localhost, so its certificate is compared here. */
function withIdentity(options: NodeConnectionOptions, urls: readonly URL[]): NodeConnectionOptions {
  const addresses = urls.map(({ hostname }) => hostname.replace(/^\[|\]$/g, ""));
  if (!options.tls || !addresses.every(isIP)) return options;
  const identity: Pick<ConnectionOptions, "checkServerIdentity"> = {
    checkServerIdentity(name, certificate) {
      const allowed = name === "localhost" ? addresses : [name];
      const refusals = allowed.map((each) => checkServerIdentity(each, certificate));
      return refusals.includes(undefined) ? undefined : refusals[0];
    },
  };
  return { ...options, tls: { ...identity, ...options.tls } };
}
