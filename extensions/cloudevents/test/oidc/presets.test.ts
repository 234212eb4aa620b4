import { virtualClock } from "event-driver/testing";
import { describe, expect, test } from "vitest";

import type { Authenticate } from "../../src/oidc/oidc.ts";

import { googleOidc } from "../../src/oidc/google-oidc.ts";
import { knativeOidc } from "../../src/oidc/knative-oidc.ts";
import { issuedAt, startIssuer } from "./issuer.ts";

type Claims = Readonly<Record<string, unknown>>;

const clock = virtualClock({ now: issuedAt * 1_000 });
const pusher = "push@shop.iam.gserviceaccount.com";
const trigger = "system:serviceaccount:shop:orders-oidc-eventing.knative.dev-trigger";

describe("googleOidc", () => {
  // As Google signs a push of Pub/Sub: sub is a number that names the account, email its address.
  const google: Claims = { iss: "https://accounts.google.com", sub: "113774264463038321964", email: pusher, email_verified: true };

  test("lets in the service accounts that it names", async () => {
    const answer = await withGoogle();

    expect(await answer(google)).toMatchObject({ accepted: true });
  });

  test.each<[string, Claims, number]>([
    ["another account", { email: "someone@example.com" }, 403],
    ["an account whose address is not verified", { email_verified: false }, 403],
    ["an account whose address is said to be verified in another way", { email_verified: "true" }, 403],
    ["a token without an address", { email: undefined }, 403],
    ["another issuer", { iss: "https://accounts.example" }, 401],
    ["another audience", { aud: "https://other.example" }, 401],
  ])("lets in nobody with %s", async (_, claims, status) => {
    const answer = await withGoogle();

    expect(await answer({ ...google, ...claims })).toMatchObject({ accepted: false, status });
  });

  test("names itself in what it refuses", () => {
    expect(() => googleOidc({ audience: "orders", emails: [] })).toThrow("googleOidc: emails is");
    expect(() => googleOidc({ audience: [], emails: [pusher] })).toThrow("googleOidc: audience is");
  });

  async function withGoogle(): Promise<(claims: Claims) => ReturnType<Authenticate>> {
    const issuer = await startIssuer("RS256");
    const authenticate = googleOidc({ audience: "https://orders.example", emails: [pusher], jwks: `${issuer.url}/keys`, clock });
    return async (claims) => authenticate(requestOf(await issuer.sign({ claims: { aud: "https://orders.example", ...claims } })));
  }
});

describe("knativeOidc", () => {
  test("lets in the service accounts that it names", async () => {
    const issuer = await startIssuer();
    const authenticate = knativeOidc({ issuer: issuer.url, audience: "orders", subjects: [trigger], clock });

    const one = await authenticate(requestOf(await issuer.sign({ claims: { sub: trigger } })));
    const other = await authenticate(
      requestOf(await issuer.sign({ claims: { sub: "system:serviceaccount:other:orders-oidc-eventing.knative.dev-trigger" } })),
    );

    expect([one, other]).toMatchObject([{ accepted: true }, { accepted: false, status: 403 }]);
    expect(issuer.requests[0]).toBe("/.well-known/openid-configuration");
  });

  test("names itself in what it refuses", () => {
    const options = { issuer: "https://kubernetes.default.svc", audience: "orders" };

    expect(() => knativeOidc({ ...options, subjects: [] })).toThrow("knativeOidc: subjects is");
    expect(() => knativeOidc({ ...options, subjects: ["orders-trigger"] })).toThrow("allowed is system:serviceaccount:NAMESPACE:NAME");
    expect(() => knativeOidc({ ...options, issuer: "", subjects: [trigger] })).toThrow("knativeOidc: issuer is");
  });
});

function requestOf(token: string): Parameters<Authenticate>[0] {
  const get = (name: string): string | undefined => (name === "authorization" ? `Bearer ${token}` : undefined);
  return { method: "POST", path: "/", query: "", headers: { get, forEach: () => {} } };
}
