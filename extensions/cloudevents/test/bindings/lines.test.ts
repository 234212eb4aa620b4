import { HeaderLines, natsBinding } from "@event-driver/cloudevents/bindings";
import fc from "fast-check";
import { expect, test } from "vitest";

import { anyMessage } from "./any-message.ts";

const place = { stream: "orders", position: "7" };
const body = new TextEncoder().encode("{}");
/** What may stand in a header of NATS, with or without meaning to a binding. */
const header = fc.tuple(
  fc.constantFrom("ce-specversion", "ce-id", "ce-source", "ce-type", "CE-Id", "ce-", "ce-%", "event-driver", "content-type", "other"),
  fc.oneof(fc.constantFrom("1.0", "", "text", "application/cloudevents+json"), fc.string({ unit: "binary", maxLength: 12 })),
);

test("a record says the same whether its headers are lines or pairs, whatever the record before had", () => {
  const binding = natsBinding();
  fc.assert(
    fc.property(anyMessage, (message) => {
      const { headers, body: content } = binding.write(message);

      const read = binding.read({ headers: linesOf(headers), body: content }, place);

      expect(read).toEqual(binding.read({ headers, body: content }, place));
      expect(read.failure).toBeUndefined();
    }),
  );
});

test("headers that make no event are refused alike as lines and as pairs", () => {
  const [ofLines, ofPairs] = [natsBinding(), natsBinding()];
  fc.assert(
    fc.property(fc.array(header, { maxLength: 8 }), (given) => {
      const pairs = given.map(([name, value]) => [name, value.replaceAll(/[\r\n]/g, "").trim()] as const);

      const read = ofLines.read({ headers: linesOf(pairs), body }, place);

      expect(read).toEqual(ofPairs.read({ headers: pairs, body }, place));
    }),
  );
});

function linesOf(headers: Iterable<readonly [name: string, value: string]>): HeaderLines {
  const lines = Array.from(headers, ([name, value]) => `${name}: ${value}\r\n`);
  return new HeaderLines(`NATS/1.0\r\n${lines.join("")}\r\n`, "NATS/1.0\r\n".length);
}
