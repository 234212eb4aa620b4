import { createContext, createMessage, type Logger, pipeline } from "event-driver";
import { virtualClock } from "event-driver/testing";
import { exportSPKI, importJWK, SignJWT, UnsecuredJWT } from "jose";
import { describe, expect, test } from "vitest";

import type { EventRequest } from "../../src/receive/request.ts";

import { oidc } from "../../src/oidc/oidc.ts";
import { type OidcOptions } from "../../src/oidc/oidc-options.ts";
import { tokenClaims } from "../../src/oidc/token-claims.ts";
import { fetchHandler } from "../../src/receive/fetch-handler.ts";
import { binary, recording } from "../requests.ts";
import { issuedAt, type Issuer, startIssuer, type Token } from "./issuer.ts";

const invalidToken = { accepted: false, status: 401, challenge: 'Bearer error="invalid_token"' };

describe("a token", () => {
  test("of the issuer, for this audience, lets its sender in", async () => {
    const { answer } = await start();

    expect(await answer()).toMatchObject({ accepted: true });
  });

  test("may be made for several audiences, of which one is enough", async () => {
    const { answer } = await start({ audience: ["billing", "orders"] });

    expect(await answer({ claims: { aud: ["stock", "orders"] } })).toMatchObject({ accepted: true });
    expect(await answer({ claims: { aud: "billing" } })).toMatchObject({ accepted: true });
    expect(await answer({ claims: { aud: ["stock", "mail"] } })).toEqual(invalidToken);
  });

  test.each<[string, Token]>([
    ["for another audience", { claims: { aud: "billing" } }],
    ["for no audience", { claims: { aud: undefined } }],
    ["of another issuer", { claims: { iss: "https://issuer.example" } }],
    ["whose issuer only begins like the right one", { claims: { iss: "http://127.0.0.1:1" } }],
    ["of no issuer", { claims: { iss: undefined } }],
    ["that speaks for nobody", { claims: { sub: undefined } }],
    ["whose subject is no text", { claims: { sub: 7 } }],
    ["that never expires", { claims: { exp: undefined } }],
    ["that is not valid yet", { claims: { nbf: issuedAt + 3_600 } }],
    ["signed by a stranger under a key of the issuer", { forged: true }],
    ["signed by another algorithm than its key is for", { algorithm: "RS256" }],
    ["signed under a key that the issuer does not have", { keyId: "key-9" }],
  ])("%s is refused", async (_, token) => {
    const { answer } = await start();

    expect(await answer(token)).toEqual(invalidToken);
  });

  test("is refused from the moment at which it expires, give or take the tolerance", async () => {
    const expired = await start({ clockTolerance: 0 }, issuedAt + 600);
    const tolerated = await start({ clockTolerance: 5_000 }, issuedAt + 604);
    const late = await start({ clockTolerance: 5_000 }, issuedAt + 605);

    expect(await expired.answer()).toEqual(invalidToken);
    expect(await tolerated.answer()).toMatchObject({ accepted: true });
    expect(await late.answer()).toEqual(invalidToken);
  });

  test("of an issuer whose clock is ahead is accepted within the tolerance", async () => {
    const { answer } = await start({ clockTolerance: 5_000 });

    expect(await answer({ claims: { nbf: issuedAt + 5 } })).toMatchObject({ accepted: true });
    expect(await answer({ claims: { nbf: issuedAt + 6 } })).toEqual(invalidToken);
  });

  test("is refused where its algorithm is not accepted, although the issuer signs by it", async () => {
    const issuer = await startIssuer("PS256");
    const [refusing, accepting] = [await startAt(issuer, {}), await startAt(issuer, { algorithms: ["PS256"] })];

    expect(await refusing.answer()).toEqual(invalidToken);
    expect(await accepting.answer()).toMatchObject({ accepted: true });
  });

  test("that is not signed is refused", async () => {
    const { authenticate, issuer } = await start();
    const token = new UnsecuredJWT({ sub: "shop" })
      .setIssuer(issuer.url)
      .setAudience("orders")
      .setExpirationTime(issuedAt + 600)
      .encode();

    expect(await authenticate(requestWith(`Bearer ${token}`))).toEqual(invalidToken);
  });

  test("signed with the issuer's public key as if it were a shared secret is refused", async () => {
    const { authenticate, issuer } = await start();
    const [key = {}] = issuer.keys;
    const publicKey = await importJWK(key, "ES256", { extractable: true });
    if (publicKey instanceof Uint8Array) throw new Error("the issuer's key is no public key");
    const secret = new TextEncoder().encode(await exportSPKI(publicKey));
    const claims = { iss: issuer.url, aud: "orders", sub: "shop", exp: issuedAt + 600 };
    const token = await new SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "key-1" }).sign(secret);

    expect(await authenticate(requestWith(`Bearer ${token}`))).toEqual(invalidToken);
  });

  test.each(["Bearer x", "Bearer a.b.c", "bearer ..", "BEARER  eyJhbGciOiJFUzI1NiJ9.e30."])(
    "that is none is refused: %s",
    async (header) => {
      const { authenticate } = await start();

      expect(await authenticate(requestWith(header))).toEqual(invalidToken);
    },
  );

  test.each([undefined, "", "Bearer", "Bearer a b", "Basic c2hvcDpzaG9w", "Digest Bearer x"])(
    "that is not there is asked for: %s",
    async (header) => {
      const { authenticate, issuer } = await start();

      expect(await authenticate(requestWith(header))).toEqual({ accepted: false, status: 401 });
      expect(issuer.requests).toEqual([]);
    },
  );

  test("of a subject that may not send is forbidden", async () => {
    const { answer } = await start({ subjects: ["shop", "billing"] });

    expect(await answer({ claims: { sub: "billing" } })).toMatchObject({ accepted: true });
    expect(await answer({ claims: { sub: "shopper" } })).toEqual({ accepted: false, status: 403 });
  });

  test("may be judged by anything else that it says", async () => {
    const { answer } = await start({ subjects: ["shop"], allow: ({ tenant }) => tenant === "acme" });

    expect(await answer({ claims: { tenant: "acme" } })).toMatchObject({ accepted: true });
    expect(await answer({ claims: { tenant: "other" } })).toEqual({ accepted: false, status: 403 });
    expect(await answer({ claims: { tenant: "acme", sub: "billing" } })).toEqual({ accepted: false, status: 403 });
  });

  test("tells the pipeline behind whom it speaks for", async () => {
    const { answer } = await start();
    const message = createMessage({ key: "order-1", source: "shop", content: "" });
    const senders: unknown[] = [];

    const admission = await answer({ claims: { tenant: "acme" } });
    const ctx = admission.accepted ? admission.context?.(createContext()) : undefined;
    await pipeline()
      .use(async (each) => void senders.push(tokenClaims.get(each)))
      .process(ctx ?? createContext(), message);

    expect(senders).toEqual([expect.objectContaining({ sub: "shop", tenant: "acme" })]);
    expect(tokenClaims.get(createContext())).toBeUndefined();
  });
});

describe("the issuer's keys", () => {
  test("are looked for where its configuration says, once for all who ask meanwhile", async () => {
    const { answer, issuer } = await start();

    await Promise.all([answer(), answer(), answer()]);
    await answer();

    expect(issuer.requests).toEqual(["/.well-known/openid-configuration", "/keys"]);
  });

  test("are taken from where the option says, without asking for a configuration", async () => {
    const issuer = await startIssuer();
    const { answer } = await startAt(issuer, { jwks: `${issuer.url}/keys` });

    expect(await answer()).toMatchObject({ accepted: true });
    expect(issuer.requests).toEqual(["/keys"]);
  });

  test("are fetched again for a token that names a new one", async () => {
    const { answer, issuer } = await start({ cooldown: 0 });
    await answer();

    await issuer.rotate();

    expect(await answer()).toMatchObject({ accepted: true });
    expect(await answer({ keyId: "key-1" })).toMatchObject({ accepted: true });
    expect(issuer.requests).toEqual(["/.well-known/openid-configuration", "/keys", "/keys"]);
  });

  test("are not fetched again at the will of strangers", async () => {
    const { answer, issuer } = await start();
    await answer();

    for (const keyId of ["key-7", "key-8", "key-9"]) expect(await answer({ keyId })).toEqual(invalidToken);

    expect(issuer.requests).toHaveLength(2);
  });

  test.each([
    ["cannot be fetched", { status: 500 }],
    ["lie behind a redirect", { status: 302 }],
    ["are said to be those of another issuer", { configuration: { issuer: "https://other.example" } }],
    ["would come over an open connection", { configuration: { jwks_uri: "http://keys.example/keys" } }],
    ["have no address", { configuration: { jwks_uri: undefined } }],
  ])("that %s make the sender try again, and are looked for anew then", async (_, { status, configuration = {} }: Fault) => {
    const { answer, issuer } = await start();
    const right = { ...issuer.configuration };
    issuer.status = status;
    Object.assign(issuer.configuration, configuration);

    await expect(answer()).rejects.toMatchObject({ code: "ERR_KEYS_UNAVAILABLE", retryable: true, cause: expect.any(Error) });
    issuer.status = undefined;
    Object.assign(issuer.configuration, right);

    expect(await answer()).toMatchObject({ accepted: true });
  });

  test("that nobody serves are answered with 503, without a word about the issuer", async () => {
    const { authenticate, issuer } = await start();
    const { messages, pipeline: orders } = recording();
    const request = binary();
    request.headers.set("authorization", `Bearer ${await issuer.sign()}`);
    await issuer.close();

    const response = await fetchHandler(orders, { authenticate })(request);

    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await response.text()).not.toContain(issuer.url);
    expect(messages).toEqual([]);
  });

  test("are not looked for at what an answer says that is none", async () => {
    const { answer } = await start({
      fetch: async (url, init) => {
        const response = await fetch(url, init);
        return url.endsWith("/keys") ? response : new Response(response.body, { status: 404 });
      },
    });

    await expect(answer()).rejects.toMatchObject({ code: "ERR_KEYS_UNAVAILABLE", cause: { message: expect.stringContaining("404") } });
  });

  test("that do not come in time make the sender try again", async () => {
    const { answer } = await start({
      timeout: 1,
      fetch: (_, { signal }) => new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(signal.reason))),
    });

    await expect(answer()).rejects.toMatchObject({ code: "ERR_KEYS_UNAVAILABLE", cause: { name: "TimeoutError" } });
  });

  test("are fetched by what the option gives", async () => {
    const asked: string[] = [];
    const { answer, issuer } = await start({
      fetch: (url, init) => {
        asked.push(url);
        return fetch(url, init);
      },
    });

    expect(await answer()).toMatchObject({ accepted: true });
    expect(asked).toEqual([`${issuer.url}/.well-known/openid-configuration`, `${issuer.url}/keys`]);
  });
});

describe("a receiver with it", () => {
  test("answers 401 and 403 without saying why, and tells the logger, but never the token", async () => {
    const lines: unknown[] = [];
    const { authenticate, issuer } = await start({ logger: loggerTo(lines), subjects: ["shop"] });
    const handle = fetchHandler(recording().pipeline, { authenticate });
    const tokens = [await issuer.sign({ claims: { exp: 1 } }), await issuer.sign({ claims: { sub: "stranger" } })];

    const [expired, forbidden] = await Promise.all(tokens.map((token) => handle(authorized(token))));

    expect([expired?.status, expired?.headers.get("www-authenticate")]).toEqual([401, 'Bearer error="invalid_token"']);
    expect(await expired?.text()).not.toMatch(/expire|exp\b/i);
    expect([forbidden?.status, forbidden?.headers.get("www-authenticate")]).toEqual([403, null]);
    expect(lines).toContainEqual({ issuer: issuer.url, reason: "ERR_JWT_EXPIRED", text: "a token was refused" });
    expect(JSON.stringify(lines)).not.toMatch(/stranger|eyJ/);
  });

  test("gives what a token says to the pipeline", async () => {
    const { authenticate, issuer } = await start();
    const senders: unknown[] = [];
    const orders = pipeline().use(async (ctx) => void senders.push(tokenClaims.get(ctx)?.sub));

    const response = await fetchHandler(orders, { authenticate })(authorized(await issuer.sign()));

    expect([response.status, senders]).toEqual([204, ["shop"]]);
  });
});

test.each<[string, Partial<OidcOptions>]>([
  ["issuer", { issuer: "issuer.example" }],
  ["issuer", { issuer: "http://issuer.example" }],
  ["issuer", { issuer: "https://user@issuer.example" }],
  ["issuer", { issuer: "https://:secret@issuer.example" }],
  ["jwks", { jwks: "http://keys.example" }],
  ["audience", { audience: "" }],
  ["audience", { audience: [] }],
  ["subjects", { subjects: [] }],
  ["algorithms", { algorithms: ["HS256"] }],
  ["algorithms", { algorithms: ["none"] }],
  ["algorithms", { algorithms: [] }],
  ["clockTolerance", { clockTolerance: -1 }],
  ["timeout", { timeout: 0.5 }],
  ["cacheTime", { cacheTime: Number.NaN }],
  ["cooldown", { cooldown: -1 }],
])("a wrong %s is refused at once: %o", (option, wrong) => {
  const attempt = (): unknown => oidc({ issuer: "https://issuer.example", audience: "orders", ...wrong });

  expect(attempt).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringContaining(`oidc: ${option} is`) }));
});

interface Fault {
  readonly status?: number;
  readonly configuration?: Readonly<Record<string, unknown>>;
}

interface Started {
  readonly issuer: Issuer;
  readonly authenticate: ReturnType<typeof oidc>;
  /** What the bearer of a token is told. */
  readonly answer: (token?: Token) => ReturnType<ReturnType<typeof oidc>>;
}

async function start(options: Partial<OidcOptions> = {}, now: number = issuedAt): Promise<Started> {
  return startAt(await startIssuer(), options, now);
}

async function startAt(issuer: Issuer, options: Partial<OidcOptions>, now: number = issuedAt): Promise<Started> {
  const clock = virtualClock({ now: now * 1_000 });
  const authenticate = oidc({ issuer: issuer.url, audience: "orders", clock, ...options });
  return { issuer, authenticate, answer: async (token) => authenticate(requestWith(`Bearer ${await issuer.sign(token)}`)) };
}

function requestWith(authorization: string | undefined): EventRequest {
  const get = (name: string): string | undefined => (name === "authorization" ? authorization : undefined);
  return { method: "POST", path: "/", query: "", headers: { get, forEach: () => {} } };
}

function authorized(token: string): Request {
  const request = binary();
  request.headers.set("authorization", `Bearer ${token}`);
  return request;
}

function loggerTo(lines: unknown[]): Logger {
  const log = (fields: object, text: string): void => void lines.push({ ...fields, text });
  return { debug: log, info: log, warn: log, error: log };
}
