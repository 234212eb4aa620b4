import { contextValue, pipeline } from "event-driver";
import { virtualClock } from "event-driver/testing";
import { gzipSync } from "node:zlib";
import { describe, expect, test, vi } from "vitest";

import type { Authentication } from "../src/receive/receiver-options.ts";

import { fetchHandler } from "../src/receive/fetch-handler.ts";
import { batch, binary, eventText, plain, recording } from "./requests.ts";

describe("authenticate", () => {
  test("refuses before the body is read", async () => {
    const request = binary();

    const response = await fetchHandler(recording().pipeline, { authenticate: () => ({ accepted: false, status: 401 }) })(request);

    expect([response.status, response.headers.get("www-authenticate"), request.bodyUsed]).toEqual([401, "Bearer", false]);
  });

  test("tells 403 from 401, and names a challenge of its own", async () => {
    const authenticate = async (): Promise<Authentication> => ({ accepted: false, status: 403 });
    const challenging = fetchHandler(recording().pipeline, { authenticate: () => ({ accepted: false, status: 401, challenge: "Basic" }) });

    expect((await fetchHandler(recording().pipeline, { authenticate })(binary())).status).toBe(403);
    expect((await challenging(binary())).headers.get("www-authenticate")).toBe("Basic");
  });

  test("that answers nothing understood lets nobody in", async () => {
    const forgetful = (): Authentication => JSON.parse("null");

    expect((await fetchHandler(recording().pipeline, { authenticate: forgetful })(binary())).status).toBe(401);
  });

  test("that fails makes the sender try again", async () => {
    expect((await fetchHandler(recording().pipeline, { authenticate: () => Promise.reject(new Error("down")) })(binary())).status).toBe(
      500,
    );
  });

  test("gives the pipeline what it has learned", async () => {
    const tenant = contextValue<string>("tenant");
    const seen: unknown[] = [];
    const handle = fetchHandler(
      pipeline().use(async (ctx) => void seen.push(tenant.get(ctx))),
      { authenticate: ({ headers }) => ({ accepted: true, context: (ctx) => tenant.set(ctx, headers.get("authorization") ?? "") }) },
    );
    const known = (request: Request): Request => new Request(request, { headers: [...request.headers, ["authorization", "acme"]] });

    await handle(known(binary()));
    await handle(known(batch(eventText())));

    expect(seen).toEqual(["acme", "acme"]);
  });
});

describe("a limit", () => {
  test("on the body holds, whether its length was announced or not", async () => {
    const { messages, pipeline: orders } = recording();
    const handle = fetchHandler(orders, { bodyBytes: 16 });
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(8)) });

    expect((await handle(binary({}, endless))).status).toBe(413);
    expect((await handle(binary({}, "x".repeat(17)))).status).toBe(413);
    expect((await handle(binary({}, "x".repeat(16)))).status).toBe(204);
    expect(messages).toHaveLength(1);
  });

  test("on the time of a request ends one that does not come to its end", async () => {
    const clock = virtualClock();
    const cancelled = vi.fn<() => void>();
    const stalled = new ReadableStream({ cancel: cancelled });

    const response = fetchHandler(recording().pipeline, { clock, requestTime: 100 })(binary({}, stalled));
    await clock.advance(100);

    expect((await response).status).toBe(408);
    expect(cancelled).toHaveBeenCalledOnce();
  });

  test("on the time of a message answers 504", async () => {
    const clock = virtualClock();

    const response = fetchHandler(
      pipeline().use(() => new Promise<never>(() => {})),
      { clock, deadline: 100 },
    )(binary());
    await vi.waitFor(() => expect(clock.pending).toBe(1));
    await clock.advance(100);

    expect((await response).status).toBe(504);
  });

  test("on what runs and what waits answers the rest with 503 and a time to come again", async () => {
    const gate = Promise.withResolvers<void>();
    let running = 0;
    const handle = fetchHandler(
      pipeline().use(async () => {
        running += 1;
        await gate.promise;
      }),
      { concurrency: 2, queue: 1 },
    );

    const taken = [handle(binary()), handle(binary()), handle(binary())];
    await vi.waitFor(() => expect(running).toBe(2));
    const refused = await handle(binary());
    gate.resolve();

    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    expect((await Promise.all(taken)).map(({ status }) => status)).toEqual([204, 204, 204]);
    expect((await handle(binary())).status).toBe(204);
    expect(running).toBe(4);
  });
});

describe("Content-Encoding", () => {
  const packed = (coding: string, bytes: Uint8Array<ArrayBuffer>): Request => {
    const headers = new Headers(binary().headers);
    headers.set("content-encoding", coding);
    return new Request(binary({}, bytes), { headers });
  };

  test("is refused unless it is enabled", async () => {
    const { pipeline: orders } = recording();

    expect((await fetchHandler(orders)(packed("gzip", new Uint8Array(gzipSync("{}"))))).status).toBe(415);
    expect((await fetchHandler(orders, { contentEncodings: ["gzip"] })(packed("br", new Uint8Array(1)))).status).toBe(415);
    expect((await fetchHandler(orders)(packed("identity", new Uint8Array(1)))).status).toBe(204);
  });

  test("is undone where it is enabled, up to the limit of a body", async () => {
    const { messages, pipeline: orders } = recording();
    const handle = fetchHandler(orders, { contentEncodings: ["gzip"], bodyBytes: 10_000 });

    expect((await handle(packed("GZip", new Uint8Array(gzipSync("{}"))))).status).toBe(204);
    expect((await handle(packed("gzip", new Uint8Array(gzipSync("x".repeat(1_000_000)))))).status).toBe(413);
    expect((await handle(packed("gzip", new Uint8Array(20)))).status).toBe(400);
    expect(messages).toMatchObject([{ content: "{}" }]);
  });
});

describe("the abuse-protection handshake", () => {
  const asking = (origin: string): Request =>
    plain("OPTIONS", "/", {
      "webhook-request-origin": origin,
      "webhook-request-callback": "https://evil.test/",
      "webhook-request-rate": "120",
    });

  test("grants only the origins that are allowed", async () => {
    const handle = fetchHandler(recording().pipeline, { allowedOrigins: ["events.shop.test"], allowedRate: 100 });

    const [granted, refused] = [await handle(asking("Events.Shop.test")), await handle(asking("other.test"))];

    expect([granted.status, granted.headers.get("webhook-allowed-origin"), granted.headers.get("webhook-allowed-rate")]).toEqual([
      204,
      "events.shop.test",
      "100",
    ]);
    expect([refused.status, refused.headers.get("webhook-allowed-origin"), refused.headers.get("webhook-allowed-rate")]).toEqual([
      403,
      null,
      null,
    ]);
    expect([granted, refused].map(({ headers }) => headers.get("allow"))).toEqual(["POST, OPTIONS", "POST, OPTIONS"]);
  });

  test("grants all with an asterisk, and nothing to who does not ask", async () => {
    const handle = fetchHandler(recording().pipeline, { allowedOrigins: ["*"] });

    expect((await handle(asking("any.test"))).headers.get("webhook-allowed-origin")).toBe("*");
    expect((await handle(asking("any.test"))).headers.get("webhook-allowed-rate")).toBe("*");
    expect((await handle(plain("OPTIONS"))).headers.has("webhook-allowed-origin")).toBe(false);
  });

  test("is not known where no origin is allowed, and never calls anybody back", async () => {
    const fetched = vi.fn<typeof fetch>();
    vi.stubGlobal("fetch", fetched);

    expect((await fetchHandler(recording().pipeline)(asking("any.test"))).status).toBe(405);
    await fetchHandler(recording().pipeline, { allowedOrigins: ["*"] })(asking("any.test"));

    expect(fetched).not.toHaveBeenCalled();
  });
});
