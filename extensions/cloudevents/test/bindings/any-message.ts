import { createMessage, type Message } from "event-driver";
import fc from "fast-check";

import { attributeText, jsonText } from "../arbitrary-message.ts";

/** Any text that UTF-8 can carry, control characters and noncharacters included. */
const anyText: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: attributeText },
  { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 20 }) },
  fc.constantFrom(
    "",
    "\0",
    "a\nb",
    "\u{10FFFF}",
    "\uFEFFa",
    "%",
    "a%00b",
    "a,b=c",
    "no-type",
    "partition:1#42",
    "a#b",
    "#",
    "null",
    "€".repeat(300),
  ),
);

const someText: fc.Arbitrary<string> = anyText.filter((text) => text !== "");

const time: fc.Arbitrary<string> = fc.constantFrom(
  "",
  "2026-01-01T00:00:00Z",
  "2026-01-01t00:00:00.123456789z",
  "1999-12-31T23:59:60+14:00",
);

/** Names that mean something to a binding, and others. */
const attributeName: fc.Arbitrary<string> = fc.oneof(
  fc.stringMatching(/^[a-z0-9]{1,12}$/).filter((name) => !["id", "source", "type", "time", "data"].includes(name)),
  fc.constantFrom(
    "key",
    "partitionkey",
    "subject",
    "sourcename",
    "dataschema",
    "specversion",
    "origin",
    "content",
    "constructor",
    "tombstone",
  ),
);

const contentType: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    "application/json",
    "application/json; charset=utf-8",
    "Application/JSON;charset=latin1",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "text/plain",
    "text/plain; charset=iso-8859-1",
    "image/png",
    "application/octet-stream",
    "",
    "x".repeat(300),
  ),
  anyText,
);

const content: fc.Arbitrary<string | Uint8Array> = fc.oneof(
  jsonText,
  jsonText.map((json) => ` ${json}\n`),
  fc.string({ unit: "binary" }),
  fc.constantFrom("", "\uFEFF{}", "\u00A0{}", " "),
  fc.uint8Array({ maxLength: 50 }).map((bytes) => Uint8Array.from(bytes)),
  jsonText.map((json) => new TextEncoder().encode(json)),
);

/** Messages with everything that a CloudEvent and a mark can carry between them. */
export const anyMessage: fc.Arbitrary<Message> = fc
  .record({
    id: someText,
    key: anyText,
    source: someText,
    origin: fc.option(someText, { nil: undefined }),
    type: fc.option(anyText, { nil: undefined }),
    time: fc.option(time, { nil: undefined }),
    content,
    attributes: fc.dictionary(attributeName, anyText, { maxKeys: 5 }),
    datacontenttype: fc.option(contentType, { nil: undefined }),
    sameOrigin: fc.boolean(),
    sameKey: fc.subarray(["key", "partitionkey", "subject", "sourcename"]),
  })
  .map(({ origin, type, time: at, attributes, datacontenttype, sameOrigin, sameKey, ...parts }) =>
    createMessage({
      ...parts,
      ...(origin !== undefined && { origin: sameOrigin ? parts.source : origin }),
      ...(type !== undefined && { type }),
      ...(at !== undefined && { time: at }),
      attributes: {
        ...attributes,
        ...Object.fromEntries(sameKey.map((name) => [name, name === "sourcename" ? parts.source : parts.key])),
        ...(datacontenttype !== undefined && { datacontenttype }),
      },
    }),
  );
