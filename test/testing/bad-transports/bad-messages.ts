import type { Message } from "../../../src/message.ts";
import type { Transport } from "../../../src/streams/index.ts";

import { createMessage } from "../../../src/message.ts";
import { type BadTransport, delivering, publishing } from "./bad-transport.ts";

const any = "a message comes back as it was published:";

/** Transports that change, mix up or lose what is published. */
export const badMessages: readonly BadTransport[] = [
  changed("parts are lost", ({ id, key, source, content, attributes }) => createMessage({ id, key, source, content, attributes }), [
    `${any} every part`,
    "a message that keeps failing goes to the dead-letter stream, untouched but for what is known of its failure",
  ]),
  changed("attributes are ASCII", (message) => ({ ...message, attributes: ascii(message.attributes) }), [`${any} every part`]),
  changed("text comes back as bytes", (message) => ({ ...message, content: bytesOf(message.content) }), [
    `${any} no text`,
    `${any} text beyond ASCII`,
    `${any} 1 MiB of text`,
    `${any} any well-formed key and id`,
    "any well-formed string but the empty one is a stream, and none reaches another's messages",
    "many streams at once do not mix",
  ]),
  changed("bytes come back as text", (message) => ({ ...message, content: Buffer.from(message.content).toString() }), [
    `${any} no bytes`,
    `${any} bytes that are no text`,
    `${any} 1 MiB of bytes`,
  ]),
  changed("keys are trimmed", (message) => ({ ...message, key: message.key.trim() }), [`${any} any well-formed key and id`]),
  {
    flaw: "streams are told apart by their letters alone",
    caughtBy: ["any well-formed string but the empty one is a stream, and none reaches another's messages"],
    alter: (transport) => ({
      ...transport,
      publish: (stream, ...given) => transport.publish(letters(stream), ...given),
      subscribe: (request, sink) => transport.subscribe({ ...request, stream: letters(request.stream) }, sink),
    }),
  },
  {
    flaw: "all streams are one",
    caughtBy: ["many streams at once do not mix"],
    alter: publishingTo("one"),
  },
  {
    flaw: "every hundredth message is lost",
    caughtBy: [
      "5,000 messages over 50 subscriptions of one name: none is lost",
      "messages of one key are published in the order of the calls, also when none of them is waited for",
      "at most maxInFlight messages of a subscription are unsettled, however slow the handler is",
    ],
    alter(transport) {
      let count = 0;
      return {
        ...transport,
        async publish(...given) {
          count += 1;
          if (count % 100 !== 0) await transport.publish(...given);
        },
      };
    },
  },
  {
    flaw: "publishing fails now and then",
    caughtBy: ["publishBatch settles each message by itself, in the order given", "publish resolves with the message's id"],
    alter(transport) {
      let count = 0;
      return {
        ...transport,
        async publish(...given) {
          count += 1;
          if (count % 10 === 1) throw new Error("no answer");
          await transport.publish(...given);
        },
      };
    },
  },
  {
    flaw: "messages are published some time after they were answered for",
    caughtBy: ["a publisher that has closed takes nothing with it", "handlers can publish until the last one has finished"],
    alter: (transport) => ({
      ...transport,
      async publish(...given) {
        setTimeout(() => void transport.publish(...given).catch(() => {}), 20);
      },
    }),
  },
  {
    flaw: "messages do not expire",
    caughtBy: ["single messages can expire"],
    alter: publishing((stream, message, options) => [stream, message, { ...options, expiresAfter: undefined }]),
  },
];

function changed(flaw: string, change: (message: Message) => Message, caughtBy: readonly string[]): BadTransport {
  return { flaw, caughtBy, alter: delivering((inbound) => ({ ...inbound, message: change(inbound.message) })) };
}

function publishingTo(stream: string): (transport: Transport) => Transport {
  return (transport) => ({
    ...transport,
    publish: (_stream, ...given) => transport.publish(stream, ...given),
    subscribe: (request, sink) => transport.subscribe({ ...request, name: request.name + request.stream, stream }, sink),
  });
}

function ascii(attributes: Message["attributes"]): Message["attributes"] {
  const entries = Object.entries(attributes).map(([name, text]) => [name, text.replaceAll(/[^\0-\x7F]/g, "?")]);
  return Object.assign(Object.create(null), Object.fromEntries(entries));
}

function letters(stream: string): string {
  return stream.replaceAll(/[^\w-]/g, "_");
}

function bytesOf(content: Message["content"]): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}
