import { type Clock, invalidOption, type Logger, silentLogger, systemClock } from "event-driver";

import type { TokenClaims } from "./token-claims.ts";

/** How tokens are checked, whoever issues them. */
export interface OidcConnectionOptions {
  /**
   * Whom a token must be made for: it names at least one of these as its `aud`. Without that, a token that was made for another service
   * could be used here.
   */
  readonly audience: string | readonly string[];
  /**
   * Milliseconds by which the clocks of issuer and receiver may differ.
   * @default 30_000
   */
  readonly clockTolerance?: number | undefined;
  /**
   * Milliseconds within which the issuer must have answered with its keys.
   * @default 5_000
   */
  readonly timeout?: number | undefined;
  /**
   * Milliseconds for which keys are used before they are fetched again.
   * @default 600_000 (10 minutes)
   */
  readonly cacheTime?: number | undefined;
  /**
   * Milliseconds between two fetches because a token names a key that is not known, as it does when the issuer has a new one. Bounds how
   * often strangers can cause a fetch.
   * @default 30_000
   */
  readonly cooldown?: number | undefined;
  /**
   * What fetches the keys, for example with a header of its own.
   * @default globalThis.fetch
   */
  readonly fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
  /**
   * Is told why a token was refused. Never holds a token or what it says.
   * @default silent
   */
  readonly logger?: Logger | undefined;
  /**
   * Says whether a token has expired. How long keys are kept is measured on the machine's clock.
   * @default systemClock
   */
  readonly clock?: Clock | undefined;
}

/** Options of `oidc`. */
export interface OidcOptions extends OidcConnectionOptions {
  /** Who must have issued a token: its `iss`, character for character. An https URL. */
  readonly issuer: string;
  /**
   * The `sub` of those who may send.
   * @default everyone whom the issuer gives a token for this audience
   */
  readonly subjects?: readonly string[] | undefined;
  /**
   * Whether the sender of a verified token may send, where the subject alone does not say.
   * @default yes
   */
  readonly allow?: ((claims: TokenClaims) => boolean) | undefined;
  /**
   * Where the issuer's keys are: an https URL of a JSON Web Key Set.
   * @default what the issuer says at /.well-known/openid-configuration
   */
  readonly jwks?: string | undefined;
  /**
   * Signature algorithms that are accepted; only asymmetric ones can be.
   * @default ["RS256", "ES256"]
   */
  readonly algorithms?: readonly string[] | undefined;
}

/** The options with every default in its place. */
export interface OidcSettings {
  readonly issuer: string;
  readonly jwks: string | undefined;
  readonly audiences: readonly string[];
  readonly algorithms: readonly string[];
  readonly isAllowed: (claims: TokenClaims) => boolean;
  readonly clockTolerance: number;
  readonly timeout: number;
  readonly cacheTime: number;
  readonly cooldown: number;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly logger: Logger;
  readonly clock: Clock;
}

const asymmetric: ReadonlySet<string> = new Set("RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519".split(" "));

/**
 * Checks the options and puts the defaults in place.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`, naming the factory that was given them
 */
export function settingsOf(factory: string, options: OidcOptions): OidcSettings {
  const { issuer, jwks, subjects, allow, algorithms = ["RS256", "ES256"], fetch = globalThis.fetch } = options;
  requireUrl(factory, "issuer", issuer);
  if (jwks !== undefined) requireUrl(factory, "jwks", jwks);
  for (const algorithm of algorithms) {
    if (!asymmetric.has(algorithm)) throw invalidOption(factory, "algorithms", algorithm, [...asymmetric].join(", "));
  }
  return {
    issuer,
    jwks,
    audiences: requireTexts(factory, "audience", typeof options.audience === "string" ? [options.audience] : options.audience),
    isAllowed: allowing(subjects && requireTexts(factory, "subjects", subjects), allow),
    algorithms: requireTexts(factory, "algorithms", algorithms),
    clockTolerance: milliseconds(factory, "clockTolerance", options.clockTolerance ?? 30_000),
    timeout: milliseconds(factory, "timeout", options.timeout ?? 5_000),
    cacheTime: milliseconds(factory, "cacheTime", options.cacheTime ?? 600_000),
    cooldown: milliseconds(factory, "cooldown", options.cooldown ?? 30_000),
    fetch: (url, init) => fetch(url, init),
    logger: options.logger ?? silentLogger,
    clock: options.clock ?? systemClock,
  };
}

/** At least one text, and none that is empty: an empty list would let in nobody, which nobody can mean. */
export function requireTexts(factory: string, option: string, given: readonly string[]): readonly string[] {
  if (Array.isArray(given) && given.length > 0 && given.every((text) => typeof text === "string" && text !== "")) return given;
  throw invalidOption(factory, option, given, "one or more texts that are not empty");
}

/** Keys that come over an open connection can be anyone's. */
export function isTrustworthy(address: string): boolean {
  const url = URL.parse(address);
  if (url === null || url.username !== "" || url.password !== "") return false;
  return url.protocol === "https:" || (url.protocol === "http:" && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname));
}

function requireUrl(factory: string, option: string, given: string): void {
  if (!isTrustworthy(given)) throw invalidOption(factory, option, given, "an https URL without user info, or an http one of this machine");
}

function milliseconds(factory: string, option: string, given: number): number {
  if (Number.isSafeInteger(given) && given >= 0) return given;
  throw invalidOption(factory, option, given, "a whole number of milliseconds from 0");
}

function allowing(subjects: readonly string[] | undefined, allow: OidcOptions["allow"]): (claims: TokenClaims) => boolean {
  return (claims) => (subjects === undefined || subjects.includes(claims.sub)) && (allow === undefined || allow(claims));
}
