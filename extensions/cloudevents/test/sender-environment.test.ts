import { createMessage } from "event-driver";
import { expect, test } from "vitest";

import { senderFromEnvironment } from "../src/send/sender-environment.ts";
import { startSink } from "./sink.ts";

const order = createMessage({ key: "order-1", source: "event1", content: "" });

test.each([{}, { K_SINK: "" }, { K_SINK: undefined }])("without K_SINK there is no sender: %j", (environment) => {
  expect(senderFromEnvironment(environment)).toBeUndefined();
});

test("events go to K_SINK with the extensions of K_CE_OVERRIDES", async () => {
  const sink = await startSink((response) => response.writeHead(204).end());

  await senderFromEnvironment({ K_SINK: sink.url, K_CE_OVERRIDES: '{"extensions":{"tenant":"acme"}}' })?.send(order);

  expect(sink.requests).toMatchObject([{ headers: { "ce-tenant": "acme" } }]);
});

test.each(["", "{}", '{"extensions":null}', '{"extensions":{}}', '{"labels":{"a":"b"}}'])(
  "K_CE_OVERRIDES %j overrides nothing",
  async (overrides) => {
    const sink = await startSink((response) => response.writeHead(204).end());

    await senderFromEnvironment({ K_SINK: sink.url, K_CE_OVERRIDES: overrides })?.send(order);

    const names = Object.keys(sink.requests[0]?.headers ?? {}).filter((name) => name.startsWith("ce-"));
    expect(names.toSorted()).toEqual(["ce-id", "ce-key", "ce-source", "ce-specversion", "ce-type"]);
  },
);

test("the other options are given as for any sender", async () => {
  const sink = await startSink((response) => response.writeHead(204).end());

  await senderFromEnvironment({ K_SINK: sink.url }, { mode: "structured" })?.send(order);

  expect(sink.requests[0]?.headers["content-type"]).toContain("application/cloudevents+json");
});

test.each(["events", "/events", "ftp://sink.example", "//sink.example"])("the K_SINK %s is refused by its name", (url) => {
  expect(() => senderFromEnvironment({ K_SINK: url })).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringContaining("K_SINK") }),
  );
});

test.each([
  "{",
  "[]",
  "null",
  '"x"',
  '{"extensions":[]}',
  '{"extensions":"x"}',
  '{"extensions":{"a":1}}',
  '{"extensions":{"A-b":"c"}}',
  '{"extensions":{"id":"1"}}',
])("the K_CE_OVERRIDES %s are refused by their name", (overrides) => {
  expect(() => senderFromEnvironment({ K_SINK: "http://sink.example", K_CE_OVERRIDES: overrides })).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_OPTION", message: expect.stringContaining("K_CE_OVERRIDES") }),
  );
});
