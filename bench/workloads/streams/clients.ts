import type { Message } from "event-driver";
import type { Connection } from "event-driver/streams";

/** Handles one message, which is acknowledged when it has returned. */
export type Handle = () => void;

/** One way to send. */
export interface StreamPublisher {
  readonly name: string;
  /** Resolves when the broker has confirmed all of them; {@link inFlight} of them are on their way at a time. */
  publish(stream: string, messages: readonly Message[]): Promise<void>;
}

/** One way to receive. */
export interface StreamConsumer {
  readonly name: string;
  /** Has a position of its own at the end of a stream that exists. */
  prepare(stream: string): Promise<void>;
  /** Handles what is behind the position. Calling what it returns ends that, with all that was handled acknowledged. */
  consume(stream: string, handle: Handle): Promise<() => Promise<void>>;
}

export interface StreamClient extends StreamPublisher, StreamConsumer {}

/** A broker, and all that send to it or receive from it. */
export interface StreamBroker {
  readonly connection: Connection;
  readonly bare: StreamClient;
  /** Further ones that only receive. */
  readonly others: readonly StreamConsumer[];
  /** Removes a stream, with its positions. */
  remove(stream: string): Promise<void>;
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
    async prepare(stream) {
      const subscription = await connection.subscribe(stream, async () => {}, { name: "bench" });
      await subscription.close();
    },
    async consume(stream, handle) {
      const subscription = await connection.subscribe(stream, async () => handle(), { name: "bench", maxInFlight: inFlight });
      return () => subscription.unsubscribe();
    },
  };
}

/** Makes a stream as its connection would, without a position. */
export async function createStream(connection: Connection, stream: string): Promise<void> {
  const subscription = await connection.subscribe(stream, async () => {}, { name: "setup" });
  await subscription.unsubscribe();
}

/** Runs `work` for each item, in their order, with so many of them on their way at a time. */
export async function inLanes<Item>(items: readonly Item[], lanes: number, work: (item: Item) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(lanes, items.length) }, lane));
}
