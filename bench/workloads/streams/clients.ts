import type { Message } from "event-driver";
import type { Connection } from "event-driver/streams";

/** Handles one message, which is acknowledged when it has returned. What it is given is what its client has made of the record. */
export type Handle = (message: unknown) => void;

/** One way to send. */
export interface StreamPublisher {
  readonly name: string;
  /** Resolves when the broker has confirmed all of them; {@link inFlight} of them are on their way at a time. */
  publish(stream: string, messages: readonly Message[]): Promise<void>;
}

/** One way to receive. */
export interface StreamConsumer {
  readonly name: string;
  /** Makes a position at the end of the stream, where a stream does not keep what nobody has asked for. */
  prepare(stream: string, position: string): Promise<void>;
  /**
   * Handles what is behind the position; a new one begins at the first message there is. Calling what it returns ends that, with all that was handled
   * acknowledged and the position forgotten.
   */
  consume(stream: string, position: string, handle: Handle): Promise<() => Promise<void>>;
}

export interface StreamClient extends StreamPublisher, StreamConsumer {}

/** A broker, and all that send to it or receive from it. */
export interface StreamBroker {
  readonly connection: Connection;
  readonly bare: StreamClient;
  /** The same client, which also reads of each record what ours hands over: id, key, source, type, time, and the content as text. */
  readonly reading: StreamConsumer;
  /** Further ones that only receive. */
  readonly others: readonly StreamConsumer[];
  /** Whether streams keep their messages, so that many can read the same ones. */
  readonly isLog: boolean;
  /** Removes a stream. */
  readonly remove: (stream: string) => Promise<void>;
  close(): Promise<void>;
}

/** How many messages may be sent and not confirmed, or received and not acknowledged: of everyone who is compared. */
export const inFlight = 1_000;

export const ours = "event-driver";

/** A connection as everyone uses it: each message is published by itself, and handled by a function. */
export function ourClient(connection: Connection): StreamClient {
  return {
    name: ours,
    publish: (stream, messages) => inLanes(messages, inFlight, (message) => connection.publish(stream, message)),
    async prepare(stream, name) {
      if (isLog(connection)) return;
      const subscription = await connection.subscribe(stream, async () => {}, { name });
      await subscription.close();
    },
    async consume(stream, name, handle) {
      const subscription = await connection.subscribe(stream, async (_ctx, message) => handle(message), {
        name,
        maxInFlight: inFlight,
        backfill: isLog(connection),
      });
      return () => subscription.unsubscribe();
    },
  };
}

function isLog({ features }: Connection): boolean {
  return features.backfill.includes("all");
}

/** Runs `work` for each item, in their order, with so many of them on their way at a time. */
export async function inLanes<Item>(items: readonly Item[], lanes: number, work: (item: Item) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(lanes, items.length) }, lane));
}
