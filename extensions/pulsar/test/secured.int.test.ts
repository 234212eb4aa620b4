import { pulsarConnection } from "@event-driver/pulsar";
import { createHmac } from "node:crypto";

import { type Access, securedKit } from "../../../test/secured-kit.ts";
import { suiteWith } from "../../../test/services.ts";
import { toxicProxy } from "../../../test/toxic-proxy.ts";

const suite = await suiteWith("pulsar", "toxiproxy");

suite("Pulsar with TLS and a token", () => {
  securedKit({
    broker: "pulsar",
    open: (access) =>
      pulsarConnection({
        url: `pulsar+wss://${access.host}`,
        clientOptions: access.authority === undefined ? {} : { ca: access.authority },
        token: () => tokenOf(access),
        connectTimeout: access.connectTimeout,
        logger: access.logger,
      }),
    wayTo: (host) => toxicProxy(`pulsar+wss://${host}`),
    secretsOf: (access) => [tokenOf(access)],
  });
});

/** A JSON Web Token for that role, signed with the password. */
function tokenOf({ user, password }: Pick<Access, "user" | "password">): string {
  const parts = [{ alg: "HS256" }, { sub: user }].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"));
  return [...parts, createHmac("sha256", password).update(parts.join(".")).digest("base64url")].join(".");
}
