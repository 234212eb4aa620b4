import { EventDriverError } from "../errors.ts";

/** What a certificate is refused for, by the codes of Node and OpenSSL, and what helps. */
const reasons: ReadonlyMap<string, "name" | "time" | "signature"> = new Map([
  ["ERR_TLS_CERT_ALTNAME_INVALID", "name"],
  ["CERT_HAS_EXPIRED", "time"],
  ["CERT_NOT_YET_VALID", "time"],
  ["CERT_CHAIN_TOO_LONG", "signature"],
  ["CERT_REJECTED", "signature"],
  ["CERT_REVOKED", "signature"],
  ["CERT_SIGNATURE_FAILURE", "signature"],
  ["CERT_UNTRUSTED", "signature"],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "signature"],
  ["INVALID_CA", "signature"],
  ["INVALID_PURPOSE", "signature"],
  ["PATH_LENGTH_EXCEEDED", "signature"],
  ["SELF_SIGNED_CERT_IN_CHAIN", "signature"],
  ["UNABLE_TO_GET_ISSUER_CERT", "signature"],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "signature"],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "signature"],
]);

/**
 * What an adapter says of servers whose certificates were refused, when that is what `cause` comes from: `undefined` otherwise. To be asked before anything
 * is said of servers that did not answer, for these have, and will say the same the next time.
 *
 * @param server whom `cause` is about, without what a URL says of users
 * @param authorities the option that names whom to trust
 * @returns `ERR_CONNECTION_FAILED`, not retryable
 * @example throw untrustedServer("NATS at localhost:4222", "clientOptions.tls", error) ?? notConnected(error);
 */
export function untrustedServer(server: string, authorities: string, cause: unknown): EventDriverError | undefined {
  const code = refusalOf(cause);
  if (code === undefined) return undefined;
  const said = {
    name: `is for another name (${code}); connect by a name that it is for`,
    time: `is out of date (${code}); renew it, and look at the clocks`,
    signature: `is signed by nobody who is trusted (${code}); give the authority that has signed it in ${authorities}`,
  }[reasons.get(code) ?? "signature"];
  return new EventDriverError("ERR_CONNECTION_FAILED", { message: `the certificate of ${server} ${said}`, retryable: false, cause });
}

/** Of several errors each has to be of that kind: else another server may be fine. */
function refusalOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ("code" in error && typeof error.code === "string" && reasons.has(error.code)) return error.code;
  if (!(error instanceof AggregateError) || error.errors.length === 0) return refusalOf(error.cause);
  const codes = error.errors.map(refusalOf);
  return codes.includes(undefined) ? undefined : codes[0];
}
