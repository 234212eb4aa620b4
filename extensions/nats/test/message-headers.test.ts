import { MsgImpl } from "@nats-io/nats-core/internal";
import fc from "fast-check";
import { expect, test } from "vitest";

import { headersOf } from "../src/message-headers.ts";

const name = fc.stringMatching(/^[!-9;-~]{1,20}$/);
const value = fc.string({ unit: "binary", maxLength: 40 }).map((text) => text.replaceAll(/[\r\n]/g, " "));

test("whatever headers a message has, they are those that the client reads", () => {
  fc.assert(
    fc.property(fc.dictionary(name, fc.array(value, { minLength: 1, maxLength: 3 }), { maxKeys: 12 }), (given) => {
      const lines = Object.entries(given).flatMap(([header, values]) => values.map((each) => `${header}: ${each}\r\n`));
      const message = messageWith(`NATS/1.0\r\n${lines.join("")}\r\n`);

      const { headers } = message;

      expect([...headersOf(message)]).toEqual([...headersOf({ headers })]);
    }),
  );
});

test("a message without headers has none, nor has one with a status alone", () => {
  expect([...headersOf(messageWith(""))]).toEqual([]);
  expect([...headersOf(messageWith("NATS/1.0 503\r\n\r\n"))]).toEqual([]);
});

test("a line that is no header is passed over", () => {
  expect([...headersOf(messageWith("NATS/1.0\r\nnot a header\r\nce-id: 1\r\nce-type:\r\n\r\n"))]).toEqual([
    ["ce-id", "1"],
    ["ce-type", ""],
  ]);
});

/** As the client makes it of what comes over its socket. */
function messageWith(headers: string): MsgImpl {
  const bytes = new TextEncoder().encode(`${headers}body: none\r\n\r\n`);
  const hdr = headers === "" ? -1 : Buffer.byteLength(headers);
  return new MsgImpl({ subject: new Uint8Array(0), sid: 1, hdr, size: bytes.length }, bytes, { publish: () => {} });
}
