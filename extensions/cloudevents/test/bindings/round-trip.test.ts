import {
  amqpBinding,
  type Binding,
  type EventRecord,
  kafkaBinding,
  mqttBinding,
  natsBinding,
  pulsarBinding,
} from "@event-driver/cloudevents/bindings";
import fc from "fast-check";
import { expect, test } from "vitest";

import { anyMessage } from "./any-message.ts";

const place = { stream: "orders", partition: "0", position: "7" };

const factories = { kafkaBinding, natsBinding, amqpBinding, mqttBinding, pulsarBinding };

for (const [name, factory] of Object.entries(factories)) {
  test.each(["binary", "structured"] as const)(`any message comes back as it was: ${name}, %s`, (mode) => {
    const binding = factory({ mode });

    fc.assert(
      fc.property(anyMessage, (message) => {
        expect(binding.read(asReceived(binding.write(message), name), place)).toStrictEqual({ message });
      }),
      { numRuns: 300 },
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

/** What a broker gives back: no strings in Kafka, and a key only where there is one. */
function asReceived({ headers, contentType, key, body }: ReturnType<Binding["write"]>, name: string): EventRecord {
  const encoder = new TextEncoder();
  if (name === "kafkaBinding") {
    return { headers: headers.map(([header, value]) => [header, Buffer.from(value)]), key: encoder.encode(key), body: Buffer.from(body) };
  }
  if (name === "pulsarBinding") return { headers, key, body };
  return { headers, contentType, body };
}
