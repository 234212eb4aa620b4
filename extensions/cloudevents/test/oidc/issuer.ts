import { createServer } from "node:http";
import { exportJWK, generateKeyPair, type GenerateKeyPairResult, type JWK, SignJWT } from "jose";
import { onTestFinished } from "vitest";

/** Whole seconds since the epoch at which tokens of these tests are issued. */
export const issuedAt = 1_750_000_000;

export interface Token {
  /** Claims in addition to the usual ones, or in their place; `undefined` leaves one out. */
  readonly claims?: Readonly<Record<string, unknown>>;
  readonly algorithm?: string;
  /** @default the newest */
  readonly keyId?: string;
  /** Signs with a key that is not the issuer's. */
  readonly forged?: boolean;
}

/** An issuer of tokens on a free port, with its configuration and its keys. It is gone with the test. */
export interface Issuer {
  readonly url: string;
  /** The paths that were asked for, in order. */
  readonly requests: readonly string[];
  readonly keys: readonly JWK[];
  /** What the configuration says; may be changed. */
  readonly configuration: Record<string, unknown>;
  /** What every request is answered with instead, while it is not `undefined`. */
  status: number | undefined;
  sign(token?: Token): Promise<string>;
  /** Signs with a new key from now on, and publishes that. */
  rotate(): Promise<void>;
  /** Listens no more. */
  close(): Promise<void>;
}

/** @param signature the algorithm that its keys are for */
export async function startIssuer(signature = "ES256"): Promise<Issuer> {
  const signers = new Map<string, GenerateKeyPairResult>();
  const keys: JWK[] = [];
  const requests: string[] = [];
  const configuration: Record<string, unknown> = {};

  const server = createServer((request, response) => {
    requests.push(request.url ?? "");
    const body = request.url === "/keys" ? { keys } : configuration;
    response.writeHead(issuer.status ?? 200, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(close);
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the issuer does not listen on a port");
  const url = `http://127.0.0.1:${address.port}`;
  Object.assign(configuration, { issuer: url, jwks_uri: `${url}/keys` });

  const issuer: Issuer = {
    url,
    requests,
    keys,
    configuration,
    status: undefined,
    async sign({ claims = {}, algorithm = signature, keyId = `key-${signers.size}`, forged = false } = {}) {
      const { privateKey } = (forged || algorithm !== signature ? undefined : signers.get(keyId)) ?? (await generateKeyPair(algorithm));
      const usual = { iss: url, aud: "orders", sub: "shop", iat: issuedAt, exp: issuedAt + 600 };
      return new SignJWT({ ...usual, ...claims }).setProtectedHeader({ alg: algorithm, kid: keyId }).sign(privateKey);
    },
    async rotate() {
      const pair = await generateKeyPair(signature, { extractable: true });
      const keyId = `key-${signers.size + 1}`;
      signers.set(keyId, pair);
      keys.push({ ...(await exportJWK(pair.publicKey)), kid: keyId, alg: signature, use: "sig" });
    },
    close,
  };
  await issuer.rotate();
  return issuer;
}
