import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { silentLogger, systemClock } from "event-driver";
import { randomUUID } from "node:crypto";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";

import { services, suiteWith } from "../../../test/services.ts";
import { type ToxicProxy, toxicProxy } from "../../../test/toxic-proxy.ts";
import { natsConnection } from "../src/index.ts";
import { openLink } from "../src/link.ts";
import { settingsOf } from "../src/options.ts";
import { Leases } from "../src/partitions/leases.ts";

const suite = await suiteWith("nats", "toxiproxy");
const url = services.nats.url;
const patience = { timeout: 30_000, interval: 10 };

suite("a lease", () => {
  beforeAll(async () => {
    // Makes the stream of the leases.
    const connection = await natsConnection({ url, stream: { partitions: 2 } });
    await (await connection.subscribe(randomUUID(), async () => {})).unsubscribe();
    await connection.close();
  });

  test("is one holder's, of any number that want it at once", async () => {
    const subject = newSubject();
    const all = await Promise.all(Array.from({ length: 8 }, () => opened({ subject })));

    const taken = await Promise.all(all.map(({ leases }) => leases.take("0", ignore)));

    expect(taken.filter((lease) => lease !== undefined).length).toBe(1);
    expect(await all[0]?.leases.taken()).toEqual(["0"]);
  });

  test("can be taken by another one when it was released, and by nobody before", async () => {
    const subject = newSubject();
    const [one, other] = await Promise.all([opened({ subject }), opened({ subject })]);
    const lease = await one.leases.take("0", ignore);

    expect(await other.leases.take("0", ignore)).toBeUndefined();
    await lease?.release();
    expect(lease?.endsAt).toBe(-Infinity);

    expect(await other.leases.take("0", ignore)).toBeDefined();
  });

  test("stays its holder's as long as he lives, for longer than the broker keeps it unrenewed", async () => {
    const subject = newSubject();
    const [one, other] = await Promise.all([opened({ subject }), opened({ subject })]);
    const lost: unknown[] = [];
    const lease = await one.leases.take("0", (reason) => lost.push(reason));
    const until = (lease?.endsAt ?? 0) + 3_000;

    await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(until), patience);

    expect(await other.leases.take("0", ignore)).toBeUndefined();
    expect(lease?.endsAt).toBeGreaterThan(Date.now());
    expect(lost).toEqual([]);
  });

  test("is lost to its holder before another one can take it, when he hears nothing of the broker any more", async () => {
    const subject = newSubject();
    const route = await opensRoute();
    const [one, other] = await Promise.all([opened({ subject, url: route.url }), opened({ subject })]);
    let lostAt = Infinity;
    await one.leases.take("0", () => (lostAt = performance.now()));

    await route.freeze();
    await vi.waitFor(async () => expect(await other.leases.take("0", ignore)).toBeDefined(), patience);

    expect(lostAt).toBeLessThan(performance.now());
  });

  test("is kept when a renewal was made whose answer was lost", async () => {
    const subject = newSubject();
    const { leases, manager, holder } = await opened({ subject });
    const lost: unknown[] = [];
    const lease = await leases.take("0", (reason) => lost.push(reason));
    const endsAt = lease?.endsAt ?? 0;

    // The same as its holder writes, but he does not know.
    await manager.jetstream().publish(`${subject}.0`, holder, { ttl: "10s" });
    await vi.waitFor(() => expect(lease?.endsAt).toBeGreaterThan(endsAt), patience);

    expect(lost).toEqual([]);
  });

  test("is lost when it was removed at the broker and another one has it", async () => {
    const subject = newSubject();
    const [one, other] = await Promise.all([opened({ subject }), opened({ subject })]);
    const lost: unknown[] = [];
    await one.leases.take("0", (reason) => lost.push(reason));

    await other.manager.streams.purge("event-driver-leases", { filter: `${subject}.0` });
    expect(await other.leases.take("0", ignore)).toBeDefined();

    await vi.waitFor(() => expect(lost).toEqual([expect.objectContaining({ code: "ERR_DELIVERY_LOST", retryable: true })]), patience);
  });
});

function newSubject(): string {
  return `event-driver.leases.${randomUUID()}`;
}

async function opened({ subject, url: through = url }: { readonly subject: string; readonly url?: string }): Promise<{
  readonly leases: Leases;
  readonly manager: JetStreamManager;
  readonly holder: string;
}> {
  const link = await openLink({ ...settingsOf({ url: through }), clock: systemClock, logger: silentLogger });
  const manager = await jetstreamManager(link.client, { checkAPI: false });
  const holder = randomUUID();
  const leases = new Leases({ link, manager, clock: systemClock, logger: silentLogger, subject, holder });
  onTestFinished(async () => {
    leases.close();
    await link.close();
  });
  return { leases, manager, holder };
}

async function opensRoute(): Promise<ToxicProxy> {
  const route = await toxicProxy(url);
  onTestFinished(() => route.remove());
  return route;
}

function ignore(): void {}
