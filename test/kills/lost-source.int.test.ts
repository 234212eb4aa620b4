import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { randomUUID } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";

import { services, suiteWith } from "../services.ts";
import { startOrderService } from "./order-service.ts";
import { healthOf } from "./senders.ts";

const suite = await suiteWith("nats");

suite("an order service whose broker has ended its subscription", { timeout: 60_000 }, () => {
  test("ends by itself, and its log and exit code tell", async () => {
    const { url } = services.nats;
    const client = await connect({ servers: url });
    const manager = await jetstreamManager(client);
    const stream = `lost-${randomUUID()}`;
    onTestFinished(async () => {
      await manager.streams.delete(stream);
      await client.close();
    });
    const service = startOrderService({ PORT: "0", STORE: "memory:", SOURCE: url, STREAM: stream, LOG_LEVEL: "fatal" });
    expect(await healthOf(await service.ready())).toBe(200);

    await manager.consumers.delete(stream, stream);

    expect(await service.ended).toBe(1);
    expect(service.standardError).toContain("the source of events is lost");
    expect(service.standardError).toContain("ERR_DELIVERY_LOST");
  });
});
