import type { AddressInfo } from "node:net";

import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";

import { virtualClock } from "../src/testing/virtual-clock.ts";
import { faultProxy, type FaultProxy, type FaultProxyOptions, type ProxiedRequest } from "./fault-proxy.ts";

test("a request reaches the server as it was sent, and its answer comes back as it was given", async () => {
  const upstream = await recordingServer();
  const proxy = await proxyTo(upstream);

  const response = await fetch(`${proxy.url}/b/o%2Fx?name=a%20b`, { method: "PUT", body: "content", headers: { "x-token": "1" } });

  expect(response.status).toBe(201);
  expect(response.headers.get("x-seen")).toBe("PUT");
  expect(await response.text()).toBe("stored content");
  expect(upstream.seen).toEqual(["PUT /b/o%2Fx?name=a%20b content"]);
});

test("a body of many pieces and no stated length is passed on whole", async () => {
  const upstream = await recordingServer();
  const proxy = await proxyTo(upstream);
  const body = new Blob(["a".repeat(3_000_000)]).stream();

  const response = await fetch(proxy.url, { method: "POST", body, duplex: "half" });

  expect((await response.text()).length).toBe("stored ".length + 3_000_000);
});

test("an encoded answer is passed on encoded", async () => {
  const upstream = await recordingServer(() => ({ status: 200, headers: { "content-encoding": "gzip" }, body: gzipSync("plain") }));
  const proxy = await proxyTo(upstream);

  const response = await fetch(proxy.url);

  expect(response.headers.get("content-encoding")).toBe("gzip");
  expect(await response.text()).toBe("plain");
});

test("every request is on record, also one that the server never saw", async () => {
  const proxy = await proxyTo(await recordingServer());
  proxy.answer({ when: ({ method }) => method === "DELETE", status: 403 });

  await fetch(`${proxy.url}/one?a=1`, { headers: { "x-token": "7" } });
  await fetch(`${proxy.url}/two`, { method: "DELETE" });

  expect(proxy.requests).toMatchObject([
    { method: "GET", path: "/one?a=1", headers: { "x-token": "7" } },
    { method: "DELETE", path: "/two" },
  ]);
});

test("a rule answers in the server's stead as often as it says", async () => {
  const upstream = await recordingServer();
  const proxy = await proxyTo(upstream);
  const busy = proxy.answer({ status: 503, headers: { "retry-after": "2" }, body: "busy", times: 2 });

  const responses = await inTurn(3, () => fetch(`${proxy.url}/x`));

  expect(responses.map(({ status }) => status)).toEqual([503, 503, 201]);
  expect(responses[0]?.headers.get("retry-after")).toBe("2");
  expect(await responses[0]?.text()).toBe("busy");
  expect(busy.hits).toBe(2);
  expect(upstream.seen).toEqual(["GET /x "]);
});

test("a reply without a body is an error as Google's services write it", async () => {
  const proxy = await proxyTo(await recordingServer());
  proxy.answer({ status: 429 });

  const response = await fetch(proxy.url);

  expect(response.headers.get("content-type")).toContain("application/json");
  expect(await response.json()).toMatchObject({ error: { code: 429 } });
});

test("a connection cut before the server has seen the request leaves nothing done", async () => {
  const upstream = await recordingServer();
  const proxy = await proxyTo(upstream);
  const cut = proxy.answer({ cut: "before" });

  await expect(fetch(proxy.url, { method: "POST", body: "x" })).rejects.toThrow("fetch failed");

  expect(cut.hits).toBe(1);
  expect(upstream.seen).toEqual([]);
});

test("a connection cut after the server has answered leaves the caller without a word of what is done", async () => {
  const upstream = await recordingServer();
  const proxy = await proxyTo(upstream);
  proxy.answer({ when: isWrite, cut: "after", times: 1 });

  await expect(fetch(proxy.url, { method: "POST", body: "x" })).rejects.toThrow("fetch failed");

  expect(upstream.seen).toEqual(["POST / x"]);
  expect((await fetch(proxy.url, { method: "POST", body: "y" })).status).toBe(201);
});

test("a delayed request reaches the server when its time has come", async () => {
  const clock = virtualClock();
  const upstream = await recordingServer();
  const proxy = await proxyTo(upstream, { clock });
  proxy.answer({ delay: 20 });
  const response = fetch(proxy.url);
  await expect.poll(() => clock.pending).toBe(1);

  await clock.advance(19);
  expect(clock.pending).toBe(1);
  await clock.advance(1);

  expect((await response).status).toBe(201);
});

test("a request meets the rules in the order they were given, until one of them answers", async () => {
  const clock = virtualClock();
  const proxy = await proxyTo(await recordingServer(), { clock });
  proxy.answer({ delay: 5 });
  const first = proxy.answer({ status: 401 });
  const second = proxy.answer({ status: 403 });

  const response = fetch(proxy.url);
  await expect.poll(() => clock.pending).toBe(1);
  await clock.advance(5);

  expect((await response).status).toBe(401);
  expect([first.hits, second.hits]).toEqual([1, 0]);
});

test("a rule that was withdrawn does nothing more, and the others stay in force", async () => {
  const proxy = await proxyTo(await recordingServer());
  const withdrawn = proxy.answer({ status: 503 });
  proxy.answer({ status: 401 });

  withdrawn.withdraw();
  withdrawn.withdraw();

  expect((await fetch(proxy.url)).status).toBe(401);
});

test("writes to one thing are paced, while other things and reads are not", async () => {
  const clock = virtualClock();
  const upstream = await recordingServer();
  const proxy = await proxyTo(upstream, { clock });
  const pace = proxy.answer({ interval: 1_000, key: writtenObject });
  const write = async (path: string): Promise<number> => (await fetch(`${proxy.url}${path}`, { method: "PUT", body: "x" })).status;

  const atOnce = [await write("/one"), await write("/one"), await write("/two"), (await fetch(`${proxy.url}/one`)).status];
  await clock.advance(999);
  const early = await write("/one");
  await clock.advance(1);
  const inTime = [await write("/one"), await write("/one")];

  expect(atOnce).toEqual([201, 429, 201, 201]);
  expect(early).toBe(429);
  expect(inTime).toEqual([201, 429]);
  expect(pace.hits).toBe(3);
});

test("of writes to one thing at the same instant one gets through", async () => {
  const proxy = await proxyTo(await recordingServer(), { clock: virtualClock() });
  proxy.answer({ interval: 1_000, key: writtenObject });

  const statuses = await Promise.all(Array.from({ length: 8 }, async () => (await fetch(proxy.url, { method: "PUT", body: "x" })).status));

  expect(statuses.toSorted((one, other) => one - other)).toEqual([201, 429, 429, 429, 429, 429, 429, 429]);
});

test("a write that the server refuses does not count for the pace, one that is cut after it was done does", async () => {
  const answers = [412, 200, 200];
  const upstream = await recordingServer(() => ({ status: answers.shift() ?? 500, body: "" }));
  const proxy = await proxyTo(upstream, { clock: virtualClock() });
  proxy.answer({ interval: 1_000, key: writtenObject });
  const write = (): Promise<Response> => fetch(proxy.url, { method: "PUT", body: "x" });

  const refused = await write();
  proxy.answer({ cut: "after" });
  await expect(write()).rejects.toThrow("fetch failed");
  const afterwards = await write();

  expect([refused.status, afterwards.status]).toEqual([412, 429]);
});

test("a server that is down looks like a broken connection", async () => {
  const upstream = await recordingServer();
  const proxy = await proxyTo(upstream);
  await upstream.stop();

  await expect(fetch(proxy.url)).rejects.toThrow("fetch failed");
});

test("a client that leaves in the middle of its request does no harm", async () => {
  const upstream = await recordingServer();
  const proxy = await proxyTo(upstream);
  const socket = connect(Number(new URL(proxy.url).port), "127.0.0.1");
  await once(socket, "connect");
  socket.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf");

  socket.resetAndDestroy();
  await once(socket, "close");

  expect((await fetch(proxy.url)).status).toBe(201);
  expect(proxy.requests).toHaveLength(1);
});

test("closing breaks what is held up and lets go of the port", async () => {
  const clock = virtualClock();
  const proxy = await proxyTo(await recordingServer(), { clock });
  proxy.answer({ delay: 1_000 });
  const heldUp = fetch(proxy.url);
  await expect.poll(() => clock.pending).toBe(1);

  await Promise.all([expect(heldUp).rejects.toThrow("fetch failed"), proxy.close()]);

  expect(clock.pending).toBe(0);
  await expect(fetch(proxy.url)).rejects.toThrow("fetch failed");
});

function isWrite({ method }: ProxiedRequest): boolean {
  return method === "POST" || method === "PUT";
}

function writtenObject(request: ProxiedRequest): string | undefined {
  return isWrite(request) ? request.path : undefined;
}

async function inTurn<Value>(times: number, action: () => Promise<Value>): Promise<Value[]> {
  const values: Value[] = [];
  for (let count = 0; count < times; count += 1) values.push(await action());
  return values;
}

async function proxyTo({ url }: RecordingServer, options: Omit<FaultProxyOptions, "upstream"> = {}): Promise<FaultProxy> {
  const proxy = await faultProxy({ upstream: url, ...options });
  onTestFinished(() => proxy.close());
  return proxy;
}

interface RecordingServer {
  readonly url: string;
  /** Method, path and body of each request. */
  readonly seen: readonly string[];
  stop(): Promise<void>;
}

interface ServerAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

async function recordingServer(
  answer: (request: IncomingMessage, body: string) => ServerAnswer = ({ method = "" }, body) => ({
    status: 201,
    headers: { "x-seen": method },
    body: `stored ${body}`,
  }),
): Promise<RecordingServer> {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      const body = Buffer.concat(pieces).toString();
      seen.push(`${request.method} ${request.url} ${body}`);
      const given = answer(request, body);
      response.writeHead(given.status, given.headers).end(given.body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const stop = async (): Promise<void> => {
    const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await stopped;
  };
  onTestFinished(stop);
  return { url: `http://127.0.0.1:${portOf(server.address())}`, seen, stop };
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("the server does not listen on a port");
  return address.port;
}
