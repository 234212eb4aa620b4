import { googleOidc } from "@event-driver/cloudevents/oidc";
import { createSign, generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";

import { pubsubPush } from "@event-driver/google-cloud/pubsub";
import { recording } from "../recording.ts";
import { push, wrapped } from "./deliveries.ts";

const google = generateKeyPairSync("rsa", { modulusLength: 2048 });
const stranger = generateKeyPairSync("rsa", { modulusLength: 2048 });
const audience = "https://orders.example/push";
const email = "push@shop.iam.gserviceaccount.com";

test("a message is taken only with a token that Google has signed for this door and this account", async () => {
  const { messages, pipeline: orders } = recording();
  const keys = { keys: [{ ...google.publicKey.export({ format: "jwk" }), kid: "k1", alg: "RS256", use: "sig" }] };
  const door = pubsubPush(orders, { authenticate: googleOidc({ audience, emails: [email], fetch: async () => Response.json(keys) }) });
  const tokens = {
    good: tokenOf({}),
    forged: tokenOf({}, stranger.privateKey),
    "for another door": tokenOf({ aud: "https://other.example" }),
    expired: tokenOf({ exp: Math.floor(Date.now() / 1_000) - 3_600 }),
    "of another account": tokenOf({ email: "someone@else.example" }),
  };

  const statuses: Record<string, number> = { none: (await door.fetch(push(wrapped()))).status };
  for (const [name, token] of Object.entries(tokens)) {
    statuses[name] = (await door.fetch(push(wrapped(), { authorization: `Bearer ${token}` }))).status;
  }

  expect(statuses).toEqual({ none: 401, good: 204, forged: 401, "for another door": 401, expired: 401, "of another account": 403 });
  expect(messages).toHaveLength(1);
});

/** A token as Pub/Sub sends it. */
function tokenOf(changes: Readonly<Record<string, unknown>>, key = google.privateKey): string {
  const now = Math.floor(Date.now() / 1_000);
  const claims = {
    iss: "https://accounts.google.com",
    aud: audience,
    sub: "1",
    email,
    email_verified: true,
    iat: now,
    exp: now + 3_600,
    ...changes,
  };
  const signed = [{ alg: "RS256", kid: "k1", typ: "JWT" }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  return `${signed}.${createSign("RSA-SHA256").update(signed).sign(key, "base64url")}`;
}
