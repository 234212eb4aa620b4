import { randomBytes } from "node:crypto";

import { type BrokerName, type OwnBroker, ownBroker } from "./broker-process.ts";
import { type Certificates, makeCertificates } from "./certificates.ts";

/** A broker that speaks nothing but TLS, with a certificate for 127.0.0.1, and lets in one user. */
export interface SecuredBroker {
  /** `host:port`, by the address that its certificate is for. */
  readonly host: string;
  readonly certificates: Certificates;
  readonly user: string;
  /** With characters that mean something in a URL. On Pulsar the secret that tokens are signed with. */
  readonly password: string;
  /** Ends it and removes all that was made for it. */
  stop(): Promise<void>;
}

/** Starts one for a test file, within `suiteWith(name)`. */
export async function securedBroker(name: BrokerName): Promise<SecuredBroker> {
  const certificates = await makeCertificates();
  const [user, password] = ["ann", `${randomBytes(24).toString("hex")}@:/%41`];
  let broker: OwnBroker;
  try {
    broker = await ownBroker(name, { certificates: certificates.folder, user, password });
  } catch (error) {
    await certificates.remove();
    throw error;
  }
  return {
    host: new URL(broker.url).host,
    certificates,
    user,
    password,
    async stop() {
      await broker.stop();
      await certificates.remove();
    },
  };
}
