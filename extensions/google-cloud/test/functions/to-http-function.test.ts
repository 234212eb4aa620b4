import { deadLetter, memoryEventStore, pipeline, TerminalError } from "event-driver";
import { deadLetters } from "event-driver/dead-letters";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";

import type { TerminalFailure } from "@event-driver/google-cloud/functions";

import { toHttpFunction } from "@event-driver/google-cloud/functions";
import { recording } from "../recording.ts";
import { echo, eventText, header, post, postNothing, serveHttp } from "./framework.ts";

const precise = '{"total":12345678901234567890.10}';

test("binary, structured and batched events arrive to the last digit", async () => {
  const { messages, pipeline: orders } = recording();
  const url = await serveHttp(toHttpFunction(orders));

  const statuses = [
    (await post(url, header(), precise)).status,
    (await post(url, { "content-type": "application/cloudevents+json" }, eventText("e-2", precise))).status,
    (
      await post(
        url,
        { "content-type": "application/cloudevents-batch+json" },
        `[${eventText("e-3", precise)},${eventText("e-4", precise)}]`,
      )
    ).status,
  ];

  expect(statuses).toEqual([204, 204, 204]);
  expect(messages.map(({ id, content }) => [id, content])).toEqual([
    ["e-1", precise],
    ["e-2", precise],
    ["e-3", precise],
    ["e-4", precise],
  ]);
});

test("attributes are decoded, data_base64 is decoded, and protobuf stays the bytes it is", async () => {
  const { messages, pipeline: orders } = recording();
  const url = await serveHttp(toHttpFunction(orders));
  const text = '{"specversion":"1.0","id":"e-2","source":"/s","type":"t","key":"k","datacontenttype":"image/png","data_base64":"iVBORw=="}';

  await post(url, header({ "ce-key": "Zo%C3%AB %E2%82%AC" }), "{}");
  await post(url, { "content-type": "application/cloudevents+json" }, text);
  await post(url, header({ "content-type": "application/protobuf" }), new Uint8Array([10, 3, 97, 98, 99]));

  expect(messages.map(({ key }) => key)).toEqual(["Zoë €", "k", "order-1"]);
  expect(
    messages
      .map(({ content }) => content)
      .slice(1)
      .map((content) => Array.from(Buffer.from(content))),
  ).toEqual([
    [0x89, 0x50, 0x4e, 0x47],
    [10, 3, 97, 98, 99],
  ]);
  expect(messages[2]?.content).toBeInstanceOf(Uint8Array);
});

test("an event without a body has no data, whether or not its length is stated", async () => {
  const { messages, pipeline: orders } = recording();
  const url = await serveHttp(toHttpFunction(orders));
  const { "content-type": _, ...bare } = header();

  const statuses = [(await post(url, bare)).status, await postNothing(url, bare)];

  expect(statuses).toEqual([204, 204]);
  expect(messages.map(({ content }) => content)).toEqual(["", ""]);
});

test("what is no event is told so, where the framework would have acknowledged it or failed", async () => {
  const { messages, pipeline: orders } = recording();
  const url = await serveHttp(toHttpFunction(orders));
  const { "ce-id": _, ...withoutId } = header();

  const statuses = [
    (await post(url, withoutId, "{}")).status,
    (await post(url, { "content-type": "application/cloudevents-batch+json" }, "no JSON")).status,
    (await fetch(url)).status,
    (await fetch(`${url}healthz`)).status,
  ];

  expect(statuses).toEqual([400, 400, 405, 200]);
  expect(messages).toEqual([]);
});

test("a reply is the answer", async () => {
  const url = await serveHttp(toHttpFunction(echo()));

  const response = await post(url, header(), precise);

  expect([response.status, response.headers.get("ce-id"), await response.text()]).toEqual([200, "reply", precise]);
});

test("a body is bounded as the framework has decompressed it", async () => {
  const { messages, pipeline: orders } = recording();
  const url = await serveHttp(toHttpFunction(orders, { contentEncodings: ["gzip"], bodyBytes: 1_000 }));
  const zipped = header({ "content-encoding": "gzip" });

  const statuses = [
    (await post(url, zipped, new Uint8Array(gzipSync(precise)))).status,
    (await post(url, zipped, new Uint8Array(gzipSync(`{"a":"${"0".repeat(1_000)}"}`)))).status,
  ];

  expect(statuses).toEqual([204, 413]);
  expect(messages.map(({ content }) => content)).toEqual([precise]);
});

test("authenticate sees the request and keeps strangers out", async () => {
  const { messages, pipeline: orders } = recording();
  const url = await serveHttp(
    toHttpFunction(orders, {
      authenticate: ({ headers }) =>
        headers.get("authorization") === "Bearer good" ? { accepted: true } : { accepted: false, status: 401 },
    }),
  );

  const statuses = [(await post(url, header(), "{}")).status, (await post(url, header({ authorization: "Bearer good" }), "{}")).status];

  expect(statuses).toEqual([401, 204]);
  expect(messages).toHaveLength(1);
});

test("requests are processed side by side, each with its own message", async () => {
  const contents = Array.from({ length: 20 }, (_, index) => `{"order":${index}}`);
  const allIn = Promise.withResolvers<void>();
  let inside = 0;
  const meeting = pipeline().use(async (ctx, message) => {
    inside += 1;
    if (inside === contents.length) allIn.resolve();
    await allIn.promise;
    ctx.reply(message);
  });
  const url = await serveHttp(toHttpFunction(meeting));

  const answers = await Promise.all(
    contents.map(async (content, index) => (await post(url, header({ "ce-id": `e-${index}` }), content)).text()),
  );

  expect(answers).toEqual(contents);
});

test("JSON that is no object is refused by the framework before the function sees it, which the documentation says", async () => {
  const { messages, pipeline: orders } = recording();
  const url = await serveHttp(toHttpFunction(orders, { onTerminal: () => {} }));

  const statuses = [(await post(url, header(), "12")).status, (await post(url, header(), "{")).status];

  expect(statuses).toEqual([400, 400]);
  expect(messages).toEqual([]);
});

describe("an event that can never succeed", () => {
  test("is acknowledged when a dead letter stage has put it aside", async () => {
    const store = memoryEventStore();
    const orders = pipeline()
      .use(deadLetter({ store }))
      .use(() => Promise.reject(new TerminalError("cancelled")));
    const url = await serveHttp(toHttpFunction(orders));

    const { status } = await post(url, header(), "{}");

    expect(status).toBe(204);
    expect((await deadLetters(store).list()).map(({ message }) => message.id)).toEqual(["e-1"]);
  });

  test("is acknowledged when onTerminal has it, malformed ones too, with all there is of them", async () => {
    const failures: TerminalFailure[] = [];
    const orders = pipeline().use(() => Promise.reject(new TerminalError("cancelled")));
    const url = await serveHttp(toHttpFunction(orders, { onTerminal: async (failure) => void failures.push(failure) }));
    const structured = { "content-type": "application/cloudevents+json" };
    const keyless = '{"specversion":"1.0","id":"e-2","source":"/s","type":"t"}';

    const statuses = [
      (await post(url, header(), "{}")).status,
      (await post(url, structured, keyless)).status,
      (await post(url, structured, '{"no":"event"}')).status,
    ];

    expect(statuses).toEqual([204, 204, 204]);
    expect(failures.map(({ id, message, body }) => [id, message?.id, new TextDecoder().decode(body)])).toEqual([
      ["e-1", "e-1", "{}"],
      ["e-2", undefined, keyless],
      [undefined, undefined, '{"no":"event"}'],
    ]);
  });

  test("is not acknowledged when onTerminal fails, or when there is nothing of it to keep", async () => {
    const orders = pipeline().use(() => Promise.reject(new TerminalError("cancelled")));
    const full = await serveHttp(toHttpFunction(orders, { onTerminal: () => Promise.reject(new Error("the disk is full")) }));
    const small = await serveHttp(toHttpFunction(orders, { bodyBytes: 1, onTerminal: () => {} }));

    const statuses = [(await post(full, header(), "{}")).status, (await post(small, header(), "{}")).status];

    expect(statuses).toEqual([500, 413]);
  });

  test("is refused where it has no place to go", async () => {
    const orders = pipeline().use(() => Promise.reject(new TerminalError("cancelled")));
    const url = await serveHttp(toHttpFunction(orders));

    const { status } = await post(url, header(), "{}");

    expect(status).toBe(422);
  });

  test("leaves the retryable ones of its batch to come again", async () => {
    const failures: TerminalFailure[] = [];
    const orders = pipeline().use(async (_ctx, { id }) => {
      if (id === "never") throw new TerminalError("cancelled");
      if (id === "later") throw new Error("no connection");
    });
    const url = await serveHttp(toHttpFunction(orders, { onTerminal: (failure) => failures.push(failure) }));
    const type = { "content-type": "application/cloudevents-batch+json" };

    const mixed = await post(url, type, `[${eventText("never", "{}")},${eventText("later", "{}")},${eventText("good", "{}")}]`);
    const settled = await post(url, type, `[${eventText("never", "{}")},${eventText("good", "{}")}]`);

    expect([mixed.status, settled.status]).toEqual([500, 204]);
    expect(failures.map(({ id }) => id)).toEqual(["never", "never"]);
  });

  test("may still be answered otherwise by toResult", async () => {
    const orders = pipeline().use(() => Promise.reject(new TerminalError("cancelled")));
    const url = await serveHttp(toHttpFunction(orders, { onTerminal: () => {}, toResult: () => ({ status: 202 }) }));

    const { status } = await post(url, header(), "{}");

    expect(status).toBe(202);
  });
});
