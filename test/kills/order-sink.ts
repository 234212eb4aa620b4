import type { AddressInfo } from "node:net";

import { createServer, type IncomingHttpHeaders } from "node:http";
import { onTestFinished } from "vitest";

import type { Timeline } from "./timeline.ts";

/** One request that reached the sink whole. */
export interface Arrival {
  /** Which process sent it: each is given an address of its own. */
  readonly from: string;
  readonly id: string;
  readonly key: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** How many there had been for this order, this one included. */
  readonly count: number;
  /** When it was accepted, on the timeline of the test. */
  readonly acceptedAt: number | undefined;
}

/** A status with headers, or a connection that breaks. */
export type SinkAnswer = { readonly status: number; readonly headers?: Readonly<Record<string, string>> } | "hang up";

/** Where the orders go: an HTTP server that remembers every request. */
export interface OrderSink {
  /** The address to be given to one process. */
  addressFor(process: string): string;
  readonly arrivals: readonly Arrival[];
  /** What was accepted for an order, in that order. */
  accepted(key: string): readonly Arrival[];
  /** Resolves as soon as that holds; it is asked again after every answer. */
  until(holds: () => boolean): Promise<void>;
}

/** Starts a sink on a free port; it is gone with the test. A 2xx counts as accepted from the moment it is decided. */
export async function startOrderSink(
  timeline: Timeline,
  answer: (arrival: Arrival) => SinkAnswer | Promise<SinkAnswer> = () => ({ status: 204 }),
): Promise<OrderSink> {
  const arrivals: Arrival[] = [];
  const byKey = new Map<string, Arrival[]>();
  const watchers = new Set<() => void>();
  const notify = (): void => watchers.forEach((watcher) => watcher());

  const receive = async (path: string, headers: IncomingHttpHeaders, body: string): Promise<SinkAnswer> => {
    const [id, key] = [String(headers["ce-id"]), String(headers["ce-key"])];
    const ofOrder = byKey.get(key) ?? [];
    const arrival = { from: path.slice("/from/".length), id, key, headers, body, count: ofOrder.length + 1, acceptedAt: undefined };
    const place = arrivals.push(arrival) - 1;
    byKey.set(key, [...ofOrder, arrival]);
    notify();
    const given = await answer(arrival);
    if (given !== "hang up" && given.status >= 200 && given.status < 300) {
      const accepted = { ...arrival, acceptedAt: timeline.next() };
      arrivals[place] = accepted;
      byKey.set(key, (byKey.get(key) ?? []).with(arrival.count - 1, accepted));
    }
    return given;
  };

  const server = createServer((request, response) => {
    const pieces: Buffer[] = [];
    request.on("data", (piece: Buffer) => pieces.push(piece));
    request.on("end", () => {
      void receive(request.url ?? "", request.headers, Buffer.concat(pieces).toString()).then((given) => {
        if (given === "hang up") request.socket.destroy();
        else response.writeHead(given.status, given.headers).end();
        notify();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${portOf(server.address())}`;

  return {
    addressFor: (process) => `${url}/from/${process}`,
    arrivals,
    accepted: (key) => (byKey.get(key) ?? []).filter(({ acceptedAt }) => acceptedAt !== undefined),
    until: (holds) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!holds()) return;
          watchers.delete(check);
          resolve();
        };
        watchers.add(check);
        check();
      }),
  };
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("the sink does not listen on a port");
  return address.port;
}
