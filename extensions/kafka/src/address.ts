import { invalidOption } from "event-driver";

/** How a cluster is reached, as its addresses say it. */
export interface Address {
  /** `host:port` of some brokers, without user info: for the client, errors and logs. */
  readonly servers: readonly string[];
  /** What scheme and user mean, in the client's words. */
  readonly security: Security;
}

interface Security {
  readonly tls?: Readonly<Record<never, never>>;
  readonly sasl?: { readonly mechanism: Mechanism; readonly username: string; readonly password: string };
}

/** Those that need no more than a user and a password. */
const mechanisms = ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] as const;
type Mechanism = (typeof mechanisms)[number];

interface Parts {
  readonly scheme: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly server: string;
  readonly query: string;
}

const format =
  /^(?:(?<scheme>kafkas?):\/\/)?(?:(?<user>[^\s/:@?#]*)(?::(?<password>[^\s/@?#]*))?@)?(?<host>\[[0-9a-f:.]+\]|[^\s/:@?#[\]]+)(?::(?<port>\d{1,5}))?\/?(?:\?(?<query>[^\s#]*))?$/i;

/**
 * Reads addresses. No error says what was given: it may hold a password.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 */
export function addressOf(url: unknown): Address {
  const [first, ...others] = (Array.isArray(url) ? url : [url]).map(partsOf);
  if (first === undefined) throw invalid("an empty list", "one or more addresses");
  if (others.some(({ scheme }) => scheme !== first.scheme)) throw invalid("a list of both", "either kafka:// or kafkas:// for all");
  return {
    servers: [first, ...others].map(({ server }) => server),
    security: { ...(first.scheme === "kafkas" && { tls: {} }), ...signingIn(first) },
  };
}

function partsOf(url: unknown): Parts {
  const { scheme = "kafka", user, password, host, port = "9092", query = "" } = (typeof url === "string" && format.exec(url)?.groups) || {};
  if (host === undefined || !(Number(port) <= 65_535))
    throw invalid(
      "no such address",
      "kafka://host:9092 or host:9092, kafkas://user:password@host:9092 for TLS and a user whose : / @ ? # and % are escaped, or a list of such",
    );
  return { scheme: scheme.toLowerCase(), user, password, server: `${host}:${port}`, query };
}

function signingIn({ user, password, query }: Parts): Pick<Security, "sasl"> {
  const mechanism = mechanismIn(query);
  if (user === undefined) {
    if (mechanism !== undefined) throw invalid("one with a mechanism and nobody to sign in", "user:password@ in front of the host");
    return {};
  }
  if (user === "" || password === undefined)
    throw invalid("one with a user without a password, or the other way round", "user:password@ in front of the host, or nothing");
  return { sasl: { mechanism: mechanism ?? mechanisms[0], username: decoded(user), password: decoded(password) } };
}

function mechanismIn(query: string): Mechanism | undefined {
  const parameters = new URLSearchParams(query);
  const given = parameters.get("mechanism")?.toUpperCase();
  parameters.delete("mechanism");
  if (parameters.size > 0) throw invalid("one with other parameters", "mechanism as the only parameter");
  if (given === undefined) return undefined;
  const known = mechanisms.find((mechanism) => mechanism === given);
  if (known === undefined) throw invalid("one with another mechanism", `mechanism=${mechanisms.join(", mechanism=")}`);
  return known;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // What is wrong with it would show some of it.
    throw invalid("one with a part that cannot be decoded", "one where % of a user or a password is written as %25");
  }
}

function invalid(given: string, allowed: string): Error {
  return invalidOption("kafkaConnection", "url", given, allowed);
}
