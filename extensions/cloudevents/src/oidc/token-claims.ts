import { type ContextValue, contextValue } from "event-driver";

/** What a verified token says. Only `iss`, `aud` and `sub` have been checked beyond its signature and its times. */
export interface TokenClaims {
  /** Who has issued it. */
  readonly iss: string;
  /** Whom it speaks for. */
  readonly sub: string;
  readonly [claim: string]: unknown;
}

/**
 * What the token of a message's sender says, in the pipeline behind a receiver that authenticates by `oidc`.
 *
 * @example pipeline().use(async (ctx, order) => audit(order.id, tokenClaims.get(ctx)?.sub));
 */
export const tokenClaims: ContextValue<TokenClaims> = contextValue<TokenClaims>("tokenClaims");
