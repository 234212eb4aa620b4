import {
  amqpBinding,
  type EventRecord,
  kafkaBinding,
  mqttBinding,
  natsBinding,
  pulsarBinding,
  type WrittenRecord,
} from "@event-driver/cloudevents/bindings";
import { createMessage } from "event-driver";
import fc from "fast-check";
import { expect, test } from "vitest";

import { anyMessage } from "./any-message.ts";
import { inBytes, place } from "./records.ts";

const factories = { kafkaBinding, natsBinding, amqpBinding, mqttBinding, pulsarBinding };

for (const [name, factory] of Object.entries(factories)) {
  test.each(["binary", "structured"] as const)(`any message comes back as it was: ${name}, %s`, (mode) => {
    const binding = factory({ mode });

    fc.assert(
      fc.property(anyMessage, (message) => {
        expect(binding.read(asReceived(binding.write(message), name), place)).toStrictEqual({ message });
      }),
      { numRuns: 150 },
    );
  });

  test.each([["subject"], ["tenant", "key"], ["type"], ["source", "tenant"]])(
    `any message comes back as it was where the key is in %s: ${name}`,
    (...keyFrom) => {
      const binding = factory({ keyFrom });

      fc.assert(
        fc.property(anyMessage, (message) => {
          expect(binding.read(asReceived(binding.write(message), name), place)).toStrictEqual({ message });
        }),
      );
    },
  );
}

test("a binding that has met more names than it remembers reads and writes the next ones as the first", () => {
  const binding = natsBinding();

  for (let number = 0; number < 1_200; number += 1) {
    const attributes = { [`name${number}`]: "value" };
    const message = createMessage({ id: "1", key: "k", source: "shop", type: "order", content: "", attributes });

    expect(binding.read(binding.write(message), place).message.attributes).toEqual(message.attributes);
  }
});

test("records that are written one after another keep their bodies apart", () => {
  const binding = kafkaBinding();
  const lengths = [...Array(60).keys()].flatMap((index) => [index, 1_365, 1_366]);
  const messages = lengths.map((length, index) =>
    createMessage({ id: String(index), key: "k", source: "shop", type: "t", content: String.fromCharCode(0x100 + index).repeat(length) }),
  );

  const written = messages.map((message) => binding.write(message));

  expect(written.map((each) => binding.read(each, place).message)).toStrictEqual(messages);
});

/** What a broker gives back: bytes alone in Kafka, and a key only where there is one. */
function asReceived(written: WrittenRecord, name: string): EventRecord {
  if (name === "kafkaBinding") return inBytes(written);
  return name === "pulsarBinding" ? written : { ...written, key: undefined };
}
