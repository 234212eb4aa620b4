import { type Clock, type Logger, sleep } from "event-driver";

import type { Retries, RetryNote } from "./deliveries.ts";
import type { LogRecord, RecordParts } from "./log-record.ts";
import type { OutgoingRecord } from "./outgoing-record.ts";
import type { Entry, Partition } from "./partition.ts";
import type { RecordWriter } from "./record-writer.ts";

import { showPosition } from "./position.ts";

export interface RetryTopicsOptions {
  readonly stream: string;
  readonly name: string;
  /** In the order of the attempts. */
  readonly topics: readonly string[];
  readonly writer: Pick<RecordWriter, "write">;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The header that says what a record in a retry topic waits for, in JSON. It is no name for an attribute of an event. */
const noteName = "event-driver-retry";

/** Has records that failed wait in topics of their own: as they are, with a note of where they were. */
export class RetryTopics implements Retries {
  readonly #options: RetryTopicsOptions;

  constructor(options: RetryTopicsOptions) {
    this.#options = options;
  }

  noteOf({ topic, texts }: Partition, record: LogRecord): RetryNote | undefined {
    if (!this.#options.topics.includes(topic)) return undefined;
    const header = record.read(texts).headers.find(([name]) => name === noteName);
    return this.#read(bytesOf(header?.[1] ?? null).toString("utf8"));
  }

  async postpone(partition: Partition, { record, attempts }: Entry, delay: number): Promise<boolean> {
    const { stream, name, topics, writer, clock, logger } = this.#options;
    const origin = this.noteOf(partition, record) ?? {
      position: showPosition({ partition: partition.index, offset: record.offset, timestamp: record.timestamp }),
      partition: String(partition.index),
      attempts: 0,
      publishedAt: record.timestamp,
    };
    const made = origin.attempts + attempts;
    const note: StoredNote = {
      stream,
      name,
      position: origin.position,
      partition: origin.partition,
      publishedAt: origin.publishedAt,
      attempts: made,
      dueAt: clock.now() + delay,
    };
    try {
      await writer.write(topics[Math.min(made, topics.length) - 1] ?? "", withNote(record.read(partition.texts), note), partition.signal);
      return true;
    } catch (error) {
      if (partition.isLost) return false;
      logger.warn(
        { stream, name, position: origin.position, err: error },
        "a message was not put into its retry topic and waits in memory",
      );
      await sleep(clock, delay, partition.signal).catch(() => {});
      return false;
    }
  }

  /** What is not readable is nobody's: somebody else has written it. */
  #read(text: string): RetryNote {
    const { stream, name } = this.#options;
    const note = parsed(text);
    if (note === undefined) return { position: "", partition: "", attempts: 0, publishedAt: 0, dueAt: 0, isOurs: false };
    return { ...note, isOurs: note.stream === stream && note.name === name };
  }
}

interface StoredNote extends Omit<RetryNote, "isOurs"> {
  readonly stream: string;
  readonly name: string;
}

function withNote({ key, value, headers }: RecordParts, note: StoredNote): OutgoingRecord {
  return { key, value, headers: [...headers.filter(([name]) => name !== noteName), [noteName, JSON.stringify(note)]] };
}

function bytesOf(part: string | Uint8Array | null): Buffer {
  if (part instanceof Uint8Array) return Buffer.from(part.buffer, part.byteOffset, part.byteLength);
  return Buffer.from(part ?? "");
}

function parsed(text: string): StoredNote | undefined {
  try {
    const note: unknown = JSON.parse(text);
    return isNote(note) ? note : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isNote(note: unknown): note is StoredNote {
  if (typeof note !== "object" || note === null) return false;
  const texts = ["stream", "name", "position", "partition"].every((part) => typeof Reflect.get(note, part) === "string");
  return texts && ["attempts", "publishedAt", "dueAt"].every((part) => Number.isFinite(Reflect.get(note, part)));
}
