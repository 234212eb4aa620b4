import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { sessionsOf, shareNameOf, streamOf, topicOf } from "../src/names.ts";

const wellFormed = fc.string({ unit: "binary", minLength: 1, maxLength: 300 }).filter((text) => text.isWellFormed());
/** Brokers refuse these. */
const unfit = /[+#\p{Cc}]|\p{Noncharacter_Code_Point}/u;

describe("the topic of a stream", () => {
  test.each([
    ["orders", "orders"],
    ["orders/eu", "orders/eu"],
    ["/orders//eu/", "/orders//eu/"],
    ["Größe 한국어 👩‍👧", "Größe 한국어 👩‍👧"],
    ["50% + #1", "50%25 %2B %231"],
    ["$SYS/uptime", "%24SYS/uptime"],
    ["costs $5", "costs $5"],
    ["a\0b\nc\u{fffe}", "a%00b%0Ac%EF%BF%BE"],
    ["event-driver/sessions/x", "%65vent-driver/sessions/x"],
    ["event-driver", "event-driver"],
  ])("of %j is %j", (stream, topic) => {
    expect(topicOf(stream)).toBe(topic);
    expect(streamOf(topic)).toBe(stream);
  });

  test("has nothing in it that brokers refuse, and leads back to the stream", () => {
    fc.assert(
      fc.property(wellFormed, (stream) => {
        const topic = topicOf(stream);

        expect(topic).not.toMatch(unfit);
        expect(topic.startsWith("$")).toBe(false);
        expect(topic.startsWith("event-driver/")).toBe(false);
        expect(streamOf(topic)).toBe(stream);
      }),
    );
  });

  test("is not deeper than brokers take, however many slashes a stream has", () => {
    const stream = "/".repeat(500);

    expect(topicOf(stream).split("/").length).toBeLessThanOrEqual(100);
    expect(streamOf(topicOf(stream))).toBe(stream);
  });

  test.each(["a%2Fb", "100%", "%zz", "%65vent"])("that is not one of ours, %j, is taken as it is", (topic) => {
    expect(streamOf(topic)).toBe(topic);
  });
});

describe("the name of a shared subscription", () => {
  test("has no slash and no wildcard in it, and none is another's", () => {
    fc.assert(
      fc.property(wellFormed, wellFormed, fc.boolean(), fc.boolean(), (one, other, durable, otherDurable) => {
        expect(shareNameOf(one, durable)).not.toMatch(/[/+#\0]/);
        expect(shareNameOf(one, durable) === shareNameOf(other, otherDurable)).toBe(one === other && durable === otherDurable);
      }),
    );
  });
});

describe("the client identifiers of a position's sessions", () => {
  const position = { stream: "orders", name: "billing", filter: "orders", durable: true };

  test("begin with what was asked for and what the name says", () => {
    expect(sessionsOf("shop", position)).toMatch(/^shop-billing-[0-9a-f]{20}$/);
    expect(sessionsOf("shop", { ...position, name: "a b/c+#한국어" })).toMatch(/^shop-a-b-c--[0-9a-f]{20}$/);
  });

  test("are those of no other position", () => {
    const others = [
      { ...position, stream: "orders2" },
      { ...position, name: "shipping" },
      { ...position, filter: "orders/#" },
      { ...position, durable: false },
    ];

    expect(new Set([position, ...others].map((each) => sessionsOf("shop", each))).size).toBe(5);
  });
});
