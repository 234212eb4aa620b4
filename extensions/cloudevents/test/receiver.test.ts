import { pipeline, silentLogger, type SweepReport } from "event-driver";
import { createServer } from "node:http";
import { afterEach, describe, expect, test, vi } from "vitest";

import type { Listening } from "../src/receive/listen.ts";

import { receiver, type ReceiverOptions } from "../src/receive/receiver.ts";
import { openSocket, rawPost } from "./raw-socket.ts";
import { batch, binary, eventText, recording, reply, structured } from "./requests.ts";

const open: Listening[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((listening) => listening.close({ limit: 0 })));
});

describe("receiver", () => {
  test("takes events in every content mode over HTTP", async () => {
    const { messages, pipeline: orders } = recording();
    const { url } = await listen(orders);

    const statuses = [await send(url, binary()), await send(url, structured()), await send(url, batch(eventText()))].map(
      ({ status }) => status,
    );

    expect(statuses).toEqual([204, 204, 204]);
    expect(new Set(messages.map((message) => JSON.stringify(message))).size).toBe(1);
  });

  test("answers with the reply of a handler", async () => {
    const { url } = await listen(pipeline().use(async (ctx) => ctx.reply(reply("r ä"))));

    const response = await send(url, binary());

    expect([response.status, response.headers.get("ce-id"), await response.text()]).toEqual([200, "r%20%C3%A4", '{"charged":1.10}']);
  });

  test("tells where it listens, on a free port where it is asked to", async () => {
    const listening = await listen(recording().pipeline);

    expect(listening.port).toBeGreaterThan(0);
    expect(listening.url).toBe(`http://127.0.0.1:${listening.port}`);
    await expect(receiver(recording().pipeline).listen({ port: listening.port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });

  test("refuses an attribute that was sent twice", async () => {
    const { port } = await listen(recording().pipeline);
    const connection = await openSocket(port);

    connection.socket.write(rawPost("{}", ["Content-Length: 2", "CE-ID: e-2"]));

    expect(await connection.receives(/\r\n\r\n.*\}/)).toMatch(/^HTTP\/1.1 400 .*ce-id twice/s);
  });

  test("answers requests that are sent behind one another without waiting, in their order", async () => {
    const { messages, pipeline: orders } = recording();
    const { port } = await listen(orders);
    const connection = await openSocket(port);

    connection.socket.write(rawPost('{"n":1}') + rawPost('{"n":2}') + "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

    expect((await connection.closed).match(/HTTP\/1.1 \d+/g)).toEqual(["HTTP/1.1 204", "HTTP/1.1 204", "HTTP/1.1 200"]);
    expect(messages.map(({ content }) => content)).toEqual(['{"n":1}', '{"n":2}']);
  });

  test("processes an event to its end when its sender hangs up", async () => {
    const started = Promise.withResolvers<void>();
    const hungUp = Promise.withResolvers<void>();
    const done = Promise.withResolvers<boolean>();
    const { port } = await listen(
      pipeline().use(async (ctx) => {
        started.resolve();
        await hungUp.promise;
        done.resolve(ctx.signal.aborted);
      }),
    );
    const connection = await openSocket(port);

    connection.socket.write(rawPost("{}"));
    await started.promise;
    connection.socket.destroy();
    await connection.closed;
    hungUp.resolve();

    expect(await done.promise).toBe(false);
  });

  test.each([
    { status: 99 },
    { status: 200, headers: { "x y": "1" } },
    { status: 200, headers: { "x-y": "1\r\nset-cookie: a=b" } },
    { status: 200, headers: { "Upper-Case": "1" } },
  ])("survives a toResult that gives %j, and lets the sender try again", async (response) => {
    const { url } = await listen(recording().pipeline, { toResult: () => response });

    expect((await send(url, binary())).status).toBe(500);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  test("survives a challenge that HTTP cannot carry", async () => {
    const { url } = await listen(recording().pipeline, { authenticate: () => ({ accepted: false, status: 401, challenge: "a\nb" }) });

    expect((await send(url, binary())).status).toBe(500);
  });

  test("writes no body where the status has none", async () => {
    const { url } = await listen(recording().pipeline, { toResult: () => ({ status: 204, body: "x" }) });

    const responses = [await send(url, binary()), await send(url, binary())];

    expect(responses.map(({ status }) => status)).toEqual([204, 204]);
  });

  test("sweeps the pipeline as long as it listens, and not at all where it is told not to", async () => {
    const swept = vi.fn<() => Promise<SweepReport>>(async () => ({
      finished: 0,
      errors: [],
      more: false,
    }));
    const orders = pipeline().use({ process: (ctx, message, next) => next(ctx, message), sweep: swept });

    const unswept = await listen(orders, { sweep: false });
    await unswept.close();
    expect(swept).not.toHaveBeenCalled();
    const listening = await listen(orders, { sweep: { every: 1 } });
    await vi.waitFor(() => expect(swept.mock.calls.length).toBeGreaterThan(1));
    await listening.close();
    const calls = swept.mock.calls.length;

    await new Promise((resolve) => setImmediate(resolve));
    expect(swept).toHaveBeenCalledTimes(calls);
  });

  test("says so in its log when somebody in front of it has read the body", async () => {
    const error = vi.fn<(fields: object) => void>();
    const logger = { ...silentLogger, warn: error };
    const listener = receiver(recording().pipeline, { logger }).requestListener;
    const server = createServer((request, response) => {
      request.resume().on("end", () => listener(request, response));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;

    const response = await send(`http://127.0.0.1:${port}`, binary());

    expect(response.status).toBe(500);
    expect(error).toHaveBeenCalledWith(
      { err: expect.objectContaining({ message: expect.stringContaining("mount") }), id: undefined, status: 500 },
      expect.anything(),
    );
    server.close();
    server.closeAllConnections();
  });

  test.each([{ headerBytes: 1 }, { sweep: { every: 0 } }, { drainTime: -1 }, { concurrency: 0 }])(
    "refuses %j when it is made",
    (options) => {
      expect(() => receiver(recording().pipeline, options)).toThrow(expect.objectContaining({ code: "ERR_INVALID_OPTION" }));
    },
  );

  test("refuses a port that is none", async () => {
    await expect(receiver(recording().pipeline).listen({ port: 70_000 })).rejects.toMatchObject({ code: "ERR_INVALID_OPTION" });
  });
});

async function listen(orders: Parameters<typeof receiver>[0], options: ReceiverOptions = {}): Promise<Listening> {
  const listening = await receiver(orders, options).listen({ port: 0 });
  open.push(listening);
  return listening;
}

function send(url: string, request: Request): Promise<Response> {
  return fetch(new Request(url, request));
}
