import { idempotency, memoryEventStore, type Message, pipeline, TerminalError, createMessage } from "event-driver";
import { expect, test } from "vitest";
import { z } from "zod";

import { toTypedFunction } from "@event-driver/google-cloud/functions";
import { post, serveHttp } from "./framework.ts";

interface Charge {
  readonly order: string;
  readonly total: number;
}

const Charge = z.object({ order: z.string(), total: z.number() });
const json = { "content-type": "application/json" };

test("plain JSON becomes a typed message, and the reply's content is the answer", async () => {
  const messages: Message<Charge>[] = [];
  const charges = pipeline<Message<Charge>>().use(async (ctx, message) => {
    messages.push(message);
    ctx.reply(createMessage({ key: message.key, source: "charges", content: JSON.stringify({ charged: message.content.total * 2 }) }));
  });
  const url = await serveHttp(
    toTypedFunction(charges, { schema: Charge, source: "charges", type: "charge.asked", key: ({ order }) => order }),
  );

  const response = await post(url, { ...json, "idempotency-key": '"c-1"' }, '{"order":"order-1","total":12}');

  expect([response.status, response.headers.get("content-type"), await response.json()]).toEqual([
    200,
    "application/json",
    { charged: 24 },
  ]);
  expect(messages[0]).toMatchObject({
    id: "c-1",
    key: "order-1",
    source: "charges",
    type: "charge.asked",
    content: { order: "order-1", total: 12 },
  });
});

test("what does not fit the schema is answered with the paths that do not, and never with the values", async () => {
  const url = await serveHttp(toTypedFunction(pipeline<Message<Charge>>(), { schema: Charge, source: "charges" }));

  const response = await post(url, json, '{"order":"order-1","total":"secret"}');

  expect([response.status, response.headers.get("content-type")]).toEqual([400, "application/problem+json"]);
  const problem = await response.text();
  expect(JSON.parse(problem)).toMatchObject({ status: 400, code: "ERR_DECODE_FAILED", detail: expect.stringMatching(/total/) });
  expect(problem).not.toMatch(/secret/);
});

test("behind idempotency a request that is sent again with its key is done once", async () => {
  const store = memoryEventStore();
  const charged: string[] = [];
  const charges = pipeline<Message<Charge>>()
    .use(idempotency({ store }))
    .use(async (_ctx, { id }) => void charged.push(id));
  const url = await serveHttp(toTypedFunction(charges, { schema: Charge, source: "charges" }));
  const body = '{"order":"order-1","total":12}';

  const statuses = [];
  for (const key of ["c-1", "c-1", "c-2"]) statuses.push((await post(url, { ...json, "idempotency-key": key }, body)).status);
  statuses.push((await post(url, json, body)).status);

  expect(statuses).toEqual([204, 204, 204, 204]);
  expect(charged.slice(0, 2)).toEqual(["c-1", "c-2"]);
  expect(charged).toHaveLength(3);
});

test.each([
  [new TerminalError("cancelled"), 422],
  [new Error("no connection"), 500],
])("a failure is answered as the receiver answers it: %s", async (error, status) => {
  const charges = pipeline<Message<Charge>>().use(() => Promise.reject(error));
  const url = await serveHttp(toTypedFunction(charges, { schema: Charge, source: "charges" }));

  expect((await post(url, json, '{"order":"order-1","total":12}')).status).toBe(status);
});
