import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import type { Listening } from "../src/receive/listen.ts";

import { receiver } from "../src/receive/receiver.ts";
import { openSocket, type RawConnection, rawPost } from "./raw-socket.ts";
import { recording } from "./requests.ts";

const { messages, pipeline: orders } = recording();
let listening: Listening;

beforeAll(async () => {
  listening = await receiver(orders, { bodyBytes: 1_000, headerBytes: 2_048, requestTime: 50, sweep: false }).listen({ port: 0 });
});

afterAll(() => listening.close({ limit: 0 }));

describe("the answer to", () => {
  test.each([
    ["what is no HTTP", "hello\r\n\r\n", /^HTTP\/1.1 400 /],
    ["bytes of TLS", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000", /^HTTP\/1.1 400 /],
    ["a header larger than its limit", `GET / HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(3_000)}\r\n\r\n`, /^HTTP\/1.1 431 /],
    ["a header with a control character in it", rawPost("{}", ["Content-Length: 2", "ce-subject: a\u0000b"]), /^HTTP\/1.1 400 /],
    ["a length that is none", rawPost("{}", ["Content-Length: two"]), /^HTTP\/1.1 400 /],
    ["two lengths", rawPost("{}", ["Content-Length: 2", "Content-Length: 3"]), /^HTTP\/1.1 400 /],
    ["a length and chunks", rawPost("0\r\n\r\n", ["Content-Length: 2", "Transfer-Encoding: chunked"]), /^HTTP\/1.1 400 /],
    ["a length beyond the limit", rawPost("{}", ["Content-Length: 99999999999"]), /^HTTP\/1.1 413 /],
    ["chunks that are none", rawPost("zz\r\n{}\r\n0\r\n\r\n", ["Transfer-Encoding: chunked"]), /^HTTP\/1.1 400 |^$/],
    ["a header that never ends", "POST / HTTP/1.1\r\nHost: x\r\n", /^HTTP\/1.1 408 /],
    ["a body that is shorter than it said", rawPost("{}", ["Content-Length: 10"]), /^HTTP\/1.1 408 /],
    ["chunks that do not end", rawPost("2\r\n{}\r\n", ["Transfer-Encoding: chunked"]), /^HTTP\/1.1 408 /],
    ["a connection that says nothing", "", /^(HTTP\/1.1 408 .*)?$/s],
  ])("%s is a refusal, and the connection is closed", async (_, request, answer) => {
    const connection = await say(request);

    expect(await connection.closed).toMatch(answer);
    expect(messages).toEqual([]);
    await stillAlive();
  });

  test("a body that goes on beyond the limit is 413 and no further reading", async () => {
    const connection = await say(rawPost("", ["Transfer-Encoding: chunked"]));
    const chunk = `400\r\n${"x".repeat(1_024)}\r\n`;
    let written = 0;

    const write = (): void => {
      while (connection.socket.writable && written < 50_000_000) {
        written += chunk.length;
        if (!connection.socket.write(chunk)) return void connection.socket.once("drain", write);
      }
    };
    write();
    const received = await connection.closed;

    expect(received).toMatch(/^(HTTP\/1.1 413 .*connection: close\r\n.*)?$/is);
    expect(written).toBeLessThan(50_000_000);
    await stillAlive();
  });

  test("a large body that is refused by its length reaches a sender that first sends all of it", async () => {
    const body = "x".repeat(200_000);
    const connection = await say(rawPost(body));

    expect(await connection.receives(/\}$/)).toMatch(/^HTTP\/1.1 413 .*"code":"ERR_TOO_LARGE"/s);
  });

  test("a small body that is refused leaves the connection open for the next request", async () => {
    const connection = await say(`PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello`);
    await connection.receives(/^HTTP\/1.1 405 .*\}/s);
    connection.socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

    expect(await connection.closed).toMatch(/HTTP\/1.1 200 /);
  });
});

test("a sender that hangs up in the middle of its body leaves nothing behind", async () => {
  const connection = await say(rawPost("{", ["Content-Length: 2"]));

  connection.socket.resetAndDestroy();
  await connection.closed;

  await stillAlive();
  expect(messages).toEqual([]);
});

test("whatever is said, there is an answer or a closed connection, and the next sender is served", async () => {
  const line = fc.oneof(
    fc.constantFrom(
      "POST / HTTP/1.1",
      "GET /healthz HTTP/1.1",
      "OPTIONS * HTTP/1.1",
      "POST http://[::1 HTTP/1.1",
      "PRI * HTTP/2.0",
      "POST //%ff HTTP/1.1",
    ),
    fc.constantFrom(
      "Host: x",
      "Content-Length: 0",
      "Content-Length: -1",
      "Transfer-Encoding: chunked",
      "Transfer-Encoding: gzip",
      "Connection: upgrade",
    ),
    fc.constantFrom(
      "Content-Type: application/cloudevents+json",
      "Content-Type: application/cloudevents-batch+json",
      "Expect: 100-continue",
    ),
    fc.constantFrom("ce-id: %FF", "ce-specversion: 1.0", 'ce-source: "', "", "", "0", "[{}]", '{"id":'),
    fc.string({ unit: "binary-ascii" }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 8 }), async (lines) => {
      const connection = await say(lines.join("\r\n"));
      connection.socket.end();

      const received = await connection.closed;

      expect(received).toMatch(/^($|HTTP\/1.1 [1-5]\d\d )/);
    }),
    { numRuns: 150 },
  );
  await stillAlive();
});

async function say(request: string): Promise<RawConnection> {
  const connection = await openSocket(listening.port);
  connection.socket.write(request, "latin1");
  return connection;
}

async function stillAlive(): Promise<void> {
  const connection = await say("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  await vi.waitFor(async () => expect(await connection.closed).toMatch(/^HTTP\/1.1 200 /));
}
