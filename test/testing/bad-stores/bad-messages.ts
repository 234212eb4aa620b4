import type { Message, StorableContent } from "../../../src/message.ts";

import { createMessage } from "../../../src/message.ts";
import { type BadStore, type Flaw, readingAs, withFlaw } from "./bad-store.ts";

/** Stores that give back another message than they were given. */
export const badMessages: readonly BadStore[] = [
  {
    flaw: "a part has no column",
    caughtBy: ["a message comes back as it went in: every part"],
    open: () => withFlaw(readingMessageAs(({ origin: _lost, ...message }) => message)),
  },
  {
    flaw: "times are normalised",
    caughtBy: ["a message comes back as it went in: every part"],
    open: () =>
      withFlaw(readingMessageAs(({ time, ...message }) => (time === undefined ? message : { ...message, time: new Date(time).toJSON() }))),
  },
  {
    flaw: "an absent part comes back empty",
    caughtBy: ["a message comes back as it went in: what is absent stays absent"],
    open: () => withFlaw(readingMessageAs((message) => ({ ...message, type: message.type ?? "" }))),
  },
  {
    flaw: "lossy text: it is stored as UTF-8",
    caughtBy: ["a message comes back as it went in: text as text", "a message comes back as it went in: text with lone surrogates"],
    open: () =>
      withFlaw(readingContentAs((content) => (typeof content === "string" ? decoded(new TextEncoder().encode(content)) : content))),
  },
  {
    flaw: "text loses its NUL",
    caughtBy: ["a message comes back as it went in: text as text", "a message comes back as it went in: random ones"],
    open: () => withFlaw(readingContentAs((content) => (typeof content === "string" ? content.replaceAll("\0", "") : content))),
  },
  {
    flaw: "lossy bytes: they are stored as text",
    caughtBy: ["a message comes back as it went in: bytes as bytes"],
    open: () =>
      withFlaw(readingContentAs((content) => (typeof content === "string" ? content : new TextEncoder().encode(decoded(content))))),
  },
  {
    flaw: "text that is base64 comes back as bytes",
    caughtBy: ["a message comes back as it went in: text as text"],
    open: () => withFlaw(readingContentAs((content) => (content === "e30=" ? Buffer.from(content, "base64") : content))),
  },
  {
    flaw: "the whole buffer of a view is stored",
    caughtBy: ["a message comes back as it went in: bytes that are part of a larger buffer"],
    open: () =>
      withFlaw(
        writingAs((message) =>
          typeof message.content === "string" ? message : { ...message, content: new Uint8Array(message.content.buffer) },
        ),
      ),
  },
  {
    flaw: "attribute names lose their case",
    caughtBy: ["a message comes back as it went in: attributes of any name and value"],
    open: () =>
      withFlaw(
        readingMessageAs((message) =>
          createMessage({
            ...message,
            attributes: Object.fromEntries(Object.entries(message.attributes).map(([name, value]) => [name.toLowerCase(), value])),
          }),
        ),
      ),
  },
  {
    flaw: "attributes come back with a prototype",
    caughtBy: ["a message comes back as it went in: every part"],
    open: () => withFlaw(readingMessageAs((message) => ({ ...message, attributes: { ...message.attributes } }))),
  },
  {
    flaw: "content is cut after 65,535 characters",
    caughtBy: ["a message comes back as it went in: a mebibyte of text, and of bytes"],
    open: () => withFlaw(readingContentAs((content) => content.slice(0, 65_535))),
  },
  {
    flaw: "mutable aliasing: the caller's own message is kept",
    caughtBy: [
      "a message comes back as it went in, whatever becomes of the caller's own",
      "a message comes back as it went in, whatever became of one that was read",
    ],
    open: () => withFlaw(keeping((message) => message)),
  },
  {
    flaw: "mutable aliasing: the message that is kept is given out",
    caughtBy: ["a message comes back as it went in, whatever became of one that was read"],
    open: () => withFlaw(keeping((message) => structuredClone(message))),
  },
];

function readingMessageAs(change: (message: Message) => Message): Flaw {
  return readingAs((entry) => ({ ...entry, message: change(entry.message) }));
}

function readingContentAs(change: (content: StorableContent) => StorableContent): Flaw {
  return readingMessageAs((message) => ({ ...message, content: change(message.content) }));
}

function writingAs(change: (message: Message) => Message): Flaw {
  return (inner) => ({ persist: (message, options) => inner.persist(change(message), options) });
}

/** Keeps its messages itself, and gives out what it keeps. */
function keeping(keep: (message: Message) => Message): Flaw {
  const kept = new Map<string, Message>();
  return (inner) => ({
    async persist(message, options) {
      const revision = await inner.persist(message, options);
      kept.set(revision, keep(message));
      return revision;
    },
    ...readingAs((entry) => ({ ...entry, message: kept.get(entry.revision) ?? entry.message }))(inner),
  });
}

function decoded(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
