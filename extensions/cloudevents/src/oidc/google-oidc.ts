import { type OidcConnectionOptions, requireTexts, settingsOf } from "./oidc-options.ts";
import { type Authenticate, authenticateBy } from "./oidc.ts";

export interface GoogleOidcOptions extends OidcConnectionOptions {
  /** The service accounts that may send, by their e-mail addresses: those that Pub/Sub, Eventarc or Cloud Scheduler send as. */
  readonly emails: readonly string[];
  /**
   * Where Google's keys are.
   * @default "https://www.googleapis.com/oauth2/v3/certs"
   */
  readonly jwks?: string | undefined;
}

/**
 * Lets in service accounts of Google Cloud: Pub/Sub push, Eventarc, Cloud Scheduler and Cloud Tasks sign their requests as one.
 *
 * Use it where a service can be reached from outside. `audience` is what was configured there; left out there, it is the URL that is called.
 * On Cloud Run the platform can check the same in front of the service, by `--no-allow-unauthenticated`. See `oidc` for the answers.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example googleOidc({ audience: "https://orders.example", emails: ["push@shop.iam.gserviceaccount.com"] })
 */
export function googleOidc({
  emails,
  jwks = "https://www.googleapis.com/oauth2/v3/certs",
  ...connection
}: GoogleOidcOptions): Authenticate {
  const allowed = requireTexts("googleOidc", "emails", emails);
  return authenticateBy(
    settingsOf("googleOidc", {
      ...connection,
      jwks,
      issuer: "https://accounts.google.com",
      algorithms: ["RS256"],
      // An address that is not verified is whatever its owner has typed.
      allow: ({ email, email_verified: verified }) => verified === true && typeof email === "string" && allowed.includes(email),
    }),
  );
}
