export { googleOidc, type GoogleOidcOptions } from "./google-oidc.ts";
export { knativeOidc, type KnativeOidcOptions } from "./knative-oidc.ts";
export { type Authenticate, oidc } from "./oidc.ts";
export type { OidcConnectionOptions, OidcOptions } from "./oidc-options.ts";
export { type TokenClaims, tokenClaims } from "./token-claims.ts";
