import { encode } from "@event-driver/cloudevents";
import { createMessage, type Message } from "event-driver";
import fc from "fast-check";
import { expect, test } from "vitest";

import { toCloudEventFunction, toHttpFunction } from "@event-driver/google-cloud/functions";
import { recording } from "../recording.ts";
import { post, serveCloudEvent, serveHttp } from "./framework.ts";

const text = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
  .filter((each) => !/[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u.test(each));

// The framework refuses bare JSON values, and HTTP has no empty header fields that all servers keep apart from absent ones.
const message: fc.Arbitrary<Message> = fc
  .record({ id: text, key: text, tenant: text, content: fc.dictionary(fc.string(), fc.jsonValue()) })
  .map(({ id, key, tenant, content }) =>
    createMessage({
      id,
      key,
      source: "event1",
      type: "order.created",
      content: JSON.stringify(content),
      attributes: { datacontenttype: "application/json", tenant },
    }),
  );

test.each(["binary", "structured"] as const)("any message in %s mode goes through the framework unchanged", async (mode) => {
  const { messages, pipeline: orders } = recording();
  const url = await serveHttp(toHttpFunction(orders));

  await fc.assert(
    fc.asyncProperty(message, async (sent) => {
      const { headers, body } = encode(sent, { mode });
      messages.length = 0;

      const { status } = await post(url, headers, String(body));

      expect(status).toBe(204);
      expect(messages).toEqual([sent]);
    }),
  );
});

test.each(["binary", "structured"] as const)("any message in %s mode reaches a CloudEvent function, its JSON by value", async (mode) => {
  const { messages, pipeline: orders } = recording();
  const url = await serveCloudEvent(toCloudEventFunction(orders));

  await fc.assert(
    fc.asyncProperty(message, async (sent) => {
      const { headers, body } = encode(sent, { mode });
      messages.length = 0;

      const { status } = await post(url, headers, String(body));

      expect(status).toBe(204);
      expect(messages).toEqual([{ ...sent, content: expect.any(String) }]);
      expect(JSON.parse(String(messages[0]?.content))).toEqual(JSON.parse(String(sent.content)));
    }),
  );
});
