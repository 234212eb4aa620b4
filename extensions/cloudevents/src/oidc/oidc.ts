import { isEventDriverError } from "event-driver";
import { errors, jwtVerify } from "jose";

import type { HeaderFields } from "../http/http-decode.ts";
import type { Authentication } from "../receive/receiver-options.ts";
import type { EventRequest } from "../receive/request.ts";

import { keySource } from "./key-source.ts";
import { type OidcOptions, type OidcSettings, settingsOf } from "./oidc-options.ts";
import { type TokenClaims, tokenClaims } from "./token-claims.ts";

/** Decides who may send; the `authenticate` of a receiver. */
export type Authenticate = (request: EventRequest) => Promise<Authentication>;

/**
 * Lets in who brings an OpenID Connect token in `Authorization: Bearer`: signed by the issuer, made for this audience, not expired, and
 * speaking for someone who may send. What it says is in {@link tokenClaims} behind.
 *
 * Use it where events come over a network that others reach too. For Google and for Knative there are `googleOidc` and `knativeOidc`.
 *
 * Without a valid token the answer is 401, for a sender who may not send 403, both without a reason: that goes to the logger. It throws
 * `ERR_KEYS_UNAVAILABLE` where the issuer's keys cannot be had, which is answered with 503, so that the sender tries again.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example receiver(orders, { authenticate: oidc({ issuer: "https://id.example", audience: "orders", subjects: ["shop"] }) })
 */
export function oidc(options: OidcOptions): Authenticate {
  return authenticateBy(settingsOf("oidc", options));
}

/** The same for options that have been checked. */
export function authenticateBy(settings: OidcSettings): Authenticate {
  const { logger } = settings;
  const verify = verifier(settings);

  return async ({ headers }) => {
    const token = bearerToken(headers);
    if (token === undefined) return { accepted: false, status: 401 };
    const claims = await verify(token);
    if (claims === undefined) return { accepted: false, status: 401, challenge: 'Bearer error="invalid_token"' };
    if (!settings.isAllowed(claims)) {
      logger.warn({ issuer: settings.issuer }, "a token was refused: whom it speaks for may not send");
      return { accepted: false, status: 403 };
    }
    return { accepted: true, context: (ctx) => tokenClaims.set(ctx, claims) };
  };
}

/** RFC 6750, section 2.1. `undefined` where there is none; what is no token by its form fails later. */
function bearerToken(headers: HeaderFields): string | undefined {
  const [, token] = /^Bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "") ?? [];
  return token;
}

/** Says what a token says, where that may be believed. */
function verifier(settings: OidcSettings): (token: string) => Promise<TokenClaims | undefined> {
  const { issuer, audiences, algorithms, clockTolerance, clock, logger } = settings;
  const findKey = keySource(settings);
  const rules = {
    issuer,
    audience: [...audiences],
    algorithms: [...algorithms],
    clockTolerance: clockTolerance / 1_000,
    requiredClaims: ["exp", "sub"],
  };

  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, findKey, { ...rules, currentDate: new Date(clock.now()) });
      const { sub } = payload;
      if (typeof sub === "string") return { ...payload, iss: issuer, sub };
      logger.warn({ issuer, reason: "sub" }, "a token was refused");
      return undefined;
    } catch (error) {
      // Of the errors of jose: they hold what the token says, so only their code is told.
      if (isEventDriverError(error) || !(error instanceof errors.JOSEError)) throw error;
      const claim = error instanceof errors.JWTClaimValidationFailed ? { claim: error.claim } : {};
      logger.warn({ issuer, reason: error.code, ...claim }, "a token was refused");
      return undefined;
    }
  };
}
