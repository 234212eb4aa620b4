import { invalidOption } from "event-driver";

import { type OidcConnectionOptions, requireTexts, settingsOf } from "./oidc-options.ts";
import { type Authenticate, authenticateBy } from "./oidc.ts";

export interface KnativeOidcOptions extends OidcConnectionOptions {
  /** The issuer of the cluster's service account tokens, as `kubectl get --raw /.well-known/openid-configuration` shows it. */
  readonly issuer: string;
  /** The service accounts that may send, each `system:serviceaccount:NAMESPACE:NAME`. */
  readonly subjects: readonly string[];
  /**
   * Where the cluster's keys are. Inside a cluster whose issuer cannot be reached by its own name, the API server has them at
   * `https://kubernetes.default.svc/openid/v1/jwks`.
   * @default what the issuer says at /.well-known/openid-configuration
   */
  readonly jwks?: string | undefined;
}

const serviceAccount = /^system:serviceaccount:[a-z0-9-]+:[a-z0-9.-]+$/;

/**
 * Lets in service accounts of a Kubernetes cluster: with `authentication-oidc` enabled, Knative's sources, brokers and triggers send as one.
 *
 * Use it where not everyone in the cluster may send events. `audience` is what Knative is told by `spec.sink.audience` or
 * `spec.subscriber.audience`. See `oidc` for the answers.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example knativeOidc({ issuer, audience: "orders", subjects: ["system:serviceaccount:shop:orders-oidc-eventing.knative.dev-trigger"] })
 */
export function knativeOidc({ subjects, ...connection }: KnativeOidcOptions): Authenticate {
  for (const subject of requireTexts("knativeOidc", "subjects", subjects)) {
    if (!serviceAccount.test(subject)) throw invalidOption("knativeOidc", "subjects", subject, "system:serviceaccount:NAMESPACE:NAME");
  }
  return authenticateBy(settingsOf("knativeOidc", { ...connection, subjects, algorithms: ["RS256", "ES256", "ES384", "ES512"] }));
}
