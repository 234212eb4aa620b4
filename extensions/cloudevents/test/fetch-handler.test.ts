import { createMessage, EventDriverError, type Message, pipeline, TerminalError, TimeoutError } from "event-driver";
import { describe, expect, test, vi } from "vitest";

import { fetchHandler } from "../src/receive/fetch-handler.ts";
import { batch, binary, eventText, failing, plain, recording, reply, structured } from "./requests.ts";

describe("an event", () => {
  test("reaches the pipeline as the same message in every content mode", async () => {
    const { messages, pipeline: orders } = recording();
    const handle = fetchHandler(orders);

    for (const request of [binary(), structured(), batch(eventText())]) expect((await handle(request)).status).toBe(204);

    expect(messages).toHaveLength(3);
    expect(new Set(messages.map((message) => JSON.stringify(message))).size).toBe(1);
    expect(messages[0]).toMatchObject({ id: "e-1", key: "order-1", source: "event1", origin: "/shop#event1", content: '{"total":12}' });
  });

  test("is answered with the reply of its handler, in the mode it came in", async () => {
    const handle = fetchHandler(pipeline().use(async (ctx) => ctx.reply(reply("r-1"))));

    const [one, other] = [await handle(binary()), await handle(structured())];

    expect([one.status, one.headers.get("ce-id"), await one.text()]).toEqual([200, "r-1", '{"charged":1.10}']);
    expect([other.status, other.headers.get("content-type")]).toEqual([200, "application/cloudevents+json; charset=utf-8"]);
    expect(await other.text()).toContain('"data":{"charged":1.10}');
  });

  test("that cannot be answered with its reply is not acknowledged", async () => {
    const unsayable = createMessage({ id: "r", key: "k", source: "s", content: "", attributes: { "not a name": "x" } });

    const response = await fetchHandler(pipeline().use(async (ctx) => ctx.reply(unsayable)))(binary());

    expect(response.status).toBe(422);
  });

  test("whose sender hangs up is processed to its end", async () => {
    const hungUp = new AbortController();
    const ends: string[] = [];
    const handle = fetchHandler(
      pipeline().use(async (ctx, message) => {
        hungUp.abort();
        await Promise.resolve();
        if (!ctx.signal.aborted) ends.push(message.id);
      }),
    );

    await handle(new Request(binary(), { signal: hungUp.signal }));

    expect(ends).toEqual(["e-1"]);
  });

  test("finds its key where keyFrom says", async () => {
    const { messages, pipeline: orders } = recording();

    await fetchHandler(orders, { keyFrom: ["tenant"] })(binary({ tenant: "acme" }));

    expect(messages[0]?.key).toBe("acme");
  });

  test("may be made a message in the user's own way", async () => {
    const { messages, pipeline: orders } = recording();
    const toMessage = ({ attributes: { id = "" } }: { attributes: Readonly<Record<string, string>> }): Message =>
      createMessage({ id, key: "mine", source: "mine", content: "" });

    await fetchHandler(orders, { toMessage })(binary());

    expect(messages).toMatchObject([{ id: "e-1", key: "mine" }]);
  });

  test("may be answered in the user's own way", async () => {
    const { pipeline: orders } = recording();
    const handle = fetchHandler(orders, {
      toResult: ({ outcomes: [outcome] }) =>
        outcome?.status === "done" ? { status: 201, headers: { "x-id": outcome.message.id } } : undefined,
    });

    const [done, kept] = [await handle(binary()), await handle(binary({ id: undefined }))];

    expect([done.status, done.headers.get("x-id")]).toEqual([201, "e-1"]);
    expect(kept.status).toBe(400);
  });
});

describe("a problem answer", () => {
  test("says what is wrong with the request, in RFC 9457's form", async () => {
    const response = await fetchHandler(recording().pipeline)(binary({ id: undefined }));

    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(await response.json()).toEqual({
      type: "about:blank",
      title: "Bad Request",
      status: 400,
      detail: "not a CloudEvent: it has no id",
      code: "ERR_INVALID_EVENT",
    });
  });

  test.each([new Error("secret at db.internal"), new TerminalError("secret at db.internal"), new TimeoutError("secret")])(
    "holds nothing of what a handler throws: %s",
    async (error) => {
      const response = await fetchHandler(failing(error))(binary({}, '{"card":"4711"}'));

      expect(await response.text()).not.toMatch(/secret|db\.internal|4711|at .*\.ts/);
    },
  );

  test("names the event", async () => {
    expect(await (await fetchHandler(failing(new Error("no")))(binary())).json()).toMatchObject({ id: "e-1", code: "ERR_HANDLER_FAILED" });
  });
});

describe("a batch", () => {
  test("is done when every event is, and answered with their replies", async () => {
    const silent = fetchHandler(recording().pipeline);
    const replying = fetchHandler(pipeline().use(async (ctx, message) => ctx.reply(reply(`reply to ${message.id}`))));
    const events = [eventText({ id: "1" }), eventText({ id: "2" })];

    const [done, replied] = [await silent(batch(...events)), await replying(batch(...events))];

    expect(done.status).toBe(204);
    expect((await silent(batch())).status).toBe(204);
    expect([replied.status, replied.headers.get("content-type")]).toEqual([200, "application/cloudevents-batch+json"]);
    expect(await replied.json()).toMatchObject([{ id: "reply to 1" }, { id: "reply to 2" }]);
  });

  test("is accepted when one of its events waits for others", async () => {
    const handle = fetchHandler(pipeline().use(async (ctx, message) => (message.id === "1" ? ctx.ended("waiting") : undefined)));

    expect((await handle(batch(eventText({ id: "1" }), eventText({ id: "2" })))).status).toBe(202);
  });

  test("is never acknowledged while one event was not, and says which", async () => {
    const { pipeline: orders, messages } = recording();
    const handle = fetchHandler(
      orders.use(async (_, message) => {
        if (message.id === "2") throw new Error("not yet");
        if (message.id === "3") throw new TerminalError("never");
      }),
    );

    const response = await handle(
      batch(eventText({ id: "1" }), eventText({ id: "2", key: "b" }), eventText({ id: "3", key: "c" }), "{}", eventText({ id: "5" })),
    );

    expect(response.status).toBe(500);
    expect(messages.map(({ id }) => id).toSorted()).toEqual(["1", "2", "3", "5"]);
    expect(await response.json()).toMatchObject({
      detail: "3 of 5 events failed; send the batch again.",
      events: [
        { index: 1, id: "2", status: 500, code: "ERR_HANDLER_FAILED" },
        { index: 2, id: "3", status: 422, code: "ERR_TERMINAL" },
        { index: 3, status: 400, code: "ERR_INVALID_EVENT" },
      ],
    });
  });

  test("keeps the status and the longest wait that its retryable failures agree on", async () => {
    const handle = fetchHandler(
      pipeline().use((_, message) =>
        Promise.reject(new EventDriverError("ERR_IN_PROGRESS", { message: "", retryable: true, retryAfter: Number(message.id) * 1_000 })),
      ),
    );

    const response = await handle(batch(eventText({ id: "2" }), eventText({ id: "7" })));

    expect([response.status, response.headers.get("retry-after")]).toEqual([409, "7"]);
  });

  test.each([
    [["{}", "5"], 400],
    [["{}", eventText()], 422],
  ])("in which nothing is worth retrying is answered so that it is not retried", async (texts, status) => {
    expect((await fetchHandler(failing(new TerminalError("never")))(batch(...texts))).status).toBe(status);
  });

  test("beyond its limit is refused whole", async () => {
    const { messages, pipeline: orders } = recording();

    const response = await fetchHandler(orders, { batchEvents: 1 })(batch(eventText(), eventText()));

    expect([response.status, messages.length]).toEqual([413, 0]);
  });
});

describe("what is not an event", () => {
  test("is told apart by path and method, and a wrong path is nothing that a sender repeats", async () => {
    const handle = fetchHandler(recording().pipeline, { path: "/events" });
    const statusOf = async (method: string, path: string): Promise<number> => (await handle(plain(method, path))).status;

    expect(await statusOf("POST", "/elsewhere")).toBe(400);
    expect(await statusOf("GET", "/elsewhere")).toBe(404);
    expect(await statusOf("PUT", "/events")).toBe(405);
    expect(await statusOf("POST", "/events?source=shop")).toBe(400);
    expect((await handle(plain("DELETE", "/events"))).headers.get("allow")).toBe("POST");
  });

  test("is healthy as long as the check succeeds", async () => {
    let store = Promise.resolve();
    const handle = fetchHandler(recording().pipeline, { health: { path: "/ready", check: () => store } });

    expect((await handle(plain("GET", "/ready"))).status).toBe(200);
    store = Promise.reject(new Error("secret"));
    const response = await handle(plain("GET", "/ready"));

    expect(response.status).toBe(503);
    expect(await response.text()).not.toContain("secret");
    expect((await fetchHandler(recording().pipeline)(plain("HEAD", "/healthz"))).status).toBe(200);
    expect((await fetchHandler(recording().pipeline, { health: false })(plain("GET", "/healthz"))).status).toBe(405);
  });

  test("is healthy again as soon as a check succeeds again, however the one before has failed", async () => {
    const check = vi.fn<() => Promise<unknown>>(() => Promise.resolve());
    const handle = fetchHandler(recording().pipeline, { health: { check } });
    const statuses: number[] = [];

    check.mockImplementationOnce(() => {
      throw new Error("closed");
    });
    for (let asked = 0; asked < 2; asked += 1) statuses.push((await handle(plain("GET", "/healthz"))).status);

    expect(statuses).toEqual([503, 200]);
  });

  test("makes one check for all who ask at the same time", async () => {
    const check = vi.fn<() => Promise<void>>(() => Promise.resolve());
    const handle = fetchHandler(recording().pipeline, { health: { check } });

    await Promise.all([handle(plain("GET", "/healthz")), handle(plain("GET", "/healthz"))]);

    expect(check).toHaveBeenCalledOnce();
  });
});

test.each([
  { path: "events" },
  { bodyBytes: 0 },
  { batchEvents: 1.5 },
  { jsonDepth: 1_000 },
  { requestTime: -1 },
  { deadline: 0 },
  { concurrency: 0 },
  { queue: -1 },
  { allowedOrigins: ["a, b"] },
  { allowedRate: 0 },
  { health: { path: "x" } },
  { keyFrom: [] },
])("a bad option is refused when the handler is made: %j", (options) => {
  expect(() => fetchHandler(recording().pipeline, options)).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
});

test("nothing that is logged holds content", async () => {
  const lines: string[] = [];
  const log = (fields: object, text: string): void => void lines.push(JSON.stringify(fields) + text);
  const logger = { debug: log, info: log, warn: log, error: log };
  const secret = "4711-0815";

  await fetchHandler(failing(new Error("down")), { logger })(binary({}, secret));
  await fetchHandler(recording().pipeline, { logger })(structured(`{"id":"${secret}`));

  expect(lines).toHaveLength(2);
  expect(lines.join()).not.toContain(secret);
});
