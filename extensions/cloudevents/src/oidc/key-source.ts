import { EventDriverError } from "event-driver";
import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey, type RemoteJWKSet } from "jose";

import { isTrustworthy, type OidcSettings } from "./oidc-options.ts";

/**
 * Finds the key that a token was signed with among those of the issuer. Fetches them when they are first needed, and again when they are old
 * or a token names one that is not there.
 *
 * It rejects with an error of jose where the token is at fault, and with `ERR_KEYS_UNAVAILABLE`, retryable, where the issuer is.
 */
export function keySource(settings: OidcSettings): JWTVerifyGetKey {
  let remote: Promise<RemoteJWKSet> | undefined;

  const open = async (): Promise<RemoteJWKSet> => {
    const { timeout: timeoutDuration, cacheTime: cacheMaxAge, cooldown: cooldownDuration, fetch } = settings;
    const address = settings.jwks ?? (await discover(settings));
    return createRemoteJWKSet(new URL(address), { timeoutDuration, cacheMaxAge, cooldownDuration, [customFetch]: fetch });
  };

  return async (header, token) => {
    // Those who come meanwhile wait for the same answer; after a failure the next one asks again.
    remote ??= open().catch((error: unknown) => {
      remote = undefined;
      throw error;
    });
    try {
      return await (
        await remote
      )(header, token);
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) throw error;
      throw keysUnavailable(settings.issuer, error);
    }
  };
}

/** OpenID Connect Discovery 1.0, section 4. */
async function discover({ issuer, timeout, fetch }: OidcSettings): Promise<string> {
  const response = await fetch(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, {
    headers: { accept: "application/json" },
    redirect: "manual",
    signal: AbortSignal.timeout(timeout),
  });
  if (response.status !== 200) throw new Error(`the issuer's configuration was answered with status ${response.status}`);
  const configuration: { readonly issuer?: unknown; readonly jwks_uri?: unknown } | null = JSON.parse(await response.text());
  // Section 4.3: otherwise one issuer could speak for another.
  if (configuration?.issuer !== issuer) throw new Error("the issuer's configuration is that of another issuer");
  const { jwks_uri: address } = configuration;
  if (typeof address !== "string" || !isTrustworthy(address)) throw new Error("the issuer's configuration names no https URL of keys");
  return address;
}

function keysUnavailable(issuer: string, cause: unknown): EventDriverError {
  return new EventDriverError("ERR_KEYS_UNAVAILABLE", {
    message: `the keys of ${issuer} cannot be fetched, so no token of it can be checked; see the cause`,
    retryable: true,
    cause,
  });
}
