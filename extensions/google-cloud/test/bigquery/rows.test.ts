import { createMessage } from "event-driver";
import fc from "fast-check";
import { expect, test } from "vitest";

import { decodeText, encodeJson, encodeText, storedMessage } from "../../src/bigquery/rows.ts";
import { fakeBigQuery, isNewJob } from "./fake-big-query.ts";
import { bigQueryEventStore } from "../../src/bigquery/index.ts";

/** Texts that hold what must be escaped more often than random ones do. */
const hostileText = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("{{projectId}}", "{", "}}", "\uE000", "\uE0000041", "\0", "\uD800", "\uDC00", "\u001B"),
    ),
  )
  .map((parts) => parts.join(""));

test("ordinary text is stored as it is", () => {
  for (const text of ["", "order-1", '{"total":1.10}', "a\tb\r\nc", "日本語 😀", "{{project}}", "it's `quoted` \\ @key"])
    expect(encodeText(text)).toBe(text);
});

test("any text comes back, and travels as text that UTF-8 can hold and the client leaves alone", () => {
  fc.assert(
    fc.property(hostileText, (text) => {
      const encoded = encodeText(text);

      expect(decodeText(encoded)).toBe(text);
      expect(encoded.isWellFormed()).toBe(true);
      expect(encoded).not.toMatch(/\{\{projectId\}\}|\0/);
    }),
  );
});

test("attributes are JSON that the client leaves alone, whatever they hold", () => {
  fc.assert(
    fc.property(fc.dictionary(hostileText, hostileText), (attributes) => {
      const encoded = encodeJson(attributes);

      expect(JSON.parse(encoded)).toEqual(JSON.parse(JSON.stringify(attributes)));
      expect(encoded.isWellFormed()).toBe(true);
      expect(encoded).not.toContain("{{projectId}}");
    }),
  );
});

test("the placeholder for the project's name leaves this process as no part of a message", async () => {
  const fake = await fakeBigQuery(() => undefined);
  const hostile = "{{projectId}}";
  const store = bigQueryEventStore({ dataset: "orders", table: "events", bigquery: fake.client() }).scope(hostile);

  await store.persist(
    createMessage({ id: hostile, key: hostile, source: hostile, type: hostile, content: hostile, attributes: { [hostile]: hostile } }),
  );

  const [job] = fake.requests.filter(isNewJob);
  const sent = JSON.stringify(job?.body.configuration?.query.queryParameters);
  expect(sent).not.toContain("test-project");
  expect(sent).toContain("\uE000007b{projectId}}");
});

test("a row that something else has written is told by its revision", () => {
  const row = {
    source: "event1",
    id: "1",
    origin: null,
    type: null,
    time: null,
    content: "",
    attributes: "{tenant: acme}",
    revision: "42",
  };

  expect(() => storedMessage("order-1", row)).toThrow(
    expect.objectContaining({ code: "ERR_STORE_CORRUPT", retryable: true, message: expect.stringMatching(/"order-1".*revision 42/) }),
  );
});
