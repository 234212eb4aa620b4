import { natsConnection } from "@event-driver/nats";
import { natsKvEventStore } from "@event-driver/nats/kv";
import { createMessage } from "event-driver";
import { expect, onTestFinished, test } from "vitest";

import { type Access, securedKit } from "../../../test/secured-kit.ts";
import { services, suiteWith } from "../../../test/services.ts";
import { toxicProxy } from "../../../test/toxic-proxy.ts";

const suite = await suiteWith("nats", "toxiproxy");

suite("NATS with TLS and a user", () => {
  const broker = securedKit({
    broker: "nats",
    open: (access) => natsConnection({ ...serverOf(access), connectTimeout: access.connectTimeout, logger: access.logger }),
    wayTo: (host) => toxicProxy(`nats://${host}`),
  });

  test("keeps joins and claims in a bucket", async () => {
    const { host, user, password, certificates } = broker();
    const store = await natsKvEventStore({ ...serverOf({ host, user, password, authority: certificates.authority }), bucket: "orders" });
    onTestFinished(() => store.close());

    await store.persist(createMessage({ id: "1", key: "order-1", source: "shop", content: "{}" }));

    expect((await store.lookUp("order-1", "shop"))?.message.id).toBe("1");
  });

  test("does not speak to a server without TLS where tls:// was asked for", async () => {
    const url = services.nats.url.replace("nats://", "tls://ann:secret@");

    await expect(natsConnection({ url, connectTimeout: 500 })).rejects.toMatchObject({ code: "ERR_CONNECTION_FAILED" });
  });
});

/** As somebody would say it in options. */
function serverOf({ host, user, password, authority: ca }: Pick<Access, "host" | "user" | "password" | "authority">): {
  readonly url: string;
  readonly clientOptions: { readonly tls?: { readonly ca: string } };
} {
  const url = `tls://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${host}`;
  return { url, clientOptions: ca === undefined ? {} : { tls: { ca } } };
}
