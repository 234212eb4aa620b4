import { EventDriverError, TerminalError } from "event-driver";
import { expect, test } from "vitest";

import type { ReceivedEvents } from "../src/receive/receiver-options.ts";
import type { WireEvent } from "../src/event/wire-event.ts";

import { fetchHandler } from "../src/receive/fetch-handler.ts";
import { eventFromJson, fromWire } from "../src/index.ts";
import { eventText, failing, recording, structured } from "./requests.ts";

test("a webhook's request becomes the events that readEvents finds in it", async () => {
  const { messages, pipeline: orders } = recording();
  const handle = fetchHandler(orders, { readEvents: linesOf });

  const one = await handle(webhook("first"));
  const two = await handle(webhook("second\nthird"));

  expect([one.status, two.status]).toEqual([204, 204]);
  expect(messages.map(({ id, content }) => [id, content])).toEqual([
    ["first", "first"],
    ["second", "second"],
    ["third", "third"],
  ]);
});

test("a webhook's body is bounded, and what readEvents refuses is told to its sender", async () => {
  const { messages, pipeline: orders } = recording();
  const handle = fetchHandler(orders, {
    bodyBytes: 5,
    readEvents() {
      throw new EventDriverError("ERR_INVALID_EVENT", { message: "no lines", retryable: false });
    },
  });

  const statuses = [(await handle(webhook("123456"))).status, (await handle(webhook("12345"))).status];

  expect(statuses).toEqual([413, 400]);
  expect(messages).toEqual([]);
});

test("toResult may take its time, and sees the body that was read", async () => {
  const seen: ReceivedEvents[] = [];
  const handle = fetchHandler(failing(new TerminalError("never")), {
    async toResult(received) {
      seen.push(received);
      return { status: 204 };
    },
  });

  const responses = [await handle(structured()), await handle(structured("no JSON"))];

  expect(responses.map(({ status }) => status)).toEqual([204, 204]);
  expect(seen.map(({ body, outcomes }) => [new TextDecoder().decode(body), outcomes[0]?.status])).toEqual([
    [eventText(), "failed"],
    ["no JSON", "rejected"],
  ]);
});

test("a toResult that rejects is answered as a failure, so that the sender tries again", async () => {
  const handle = fetchHandler(recording().pipeline, { toResult: () => Promise.reject(new Error("no place to put it")) });

  const response = await handle(structured());

  expect(response.status).toBe(500);
});

test("an event in the JSON format is read from its text alone", () => {
  const message = fromWire(eventFromJson(eventText({ id: "e-9" }, '{"total":1.10}')));

  expect(message).toMatchObject({ id: "e-9", key: "order-1", content: '{"total":1.10}' });
});

function webhook(body: string): Request {
  return new Request("http://receiver.test/", { method: "POST", body });
}

function linesOf(body: Uint8Array): WireEvent[] {
  const lines = new TextDecoder().decode(body).split("\n");
  return lines.map((line) => ({ attributes: { id: line, source: "/lines", type: "line", key: line }, data: line }));
}
