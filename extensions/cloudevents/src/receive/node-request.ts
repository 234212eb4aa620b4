import type { IncomingMessage } from "node:http";

import type { HeaderFields } from "../http/http-decode.ts";

import { type BodyLimits, bodyIncomplete, bodyTaken, bodyTooLarge, type IncomingEventRequest } from "./request.ts";

/** A request of node:http, as the event handler reads it. Nothing is copied before it is needed. */
export function nodeRequest(message: IncomingMessage): IncomingEventRequest {
  const url = message.url ?? "/";
  const mark = url.indexOf("?");
  const rawBody = rawBodyOf(message);
  return {
    method: message.method ?? "",
    path: mark === -1 ? url : url.slice(0, mark),
    query: mark === -1 ? "" : url.slice(mark + 1),
    headers: new RawFields(message.rawHeaders),
    readBody: (limits) => readBody(message, rawBody, limits),
    decompressed: rawBody !== undefined,
  };
}

/** What a framework has left behind that reads bodies: those of Express and of Cloud Functions keep the bytes that they have decompressed. */
function rawBodyOf(message: IncomingMessage): Uint8Array | undefined {
  const body: unknown = Reflect.get(message, "rawBody");
  return body instanceof Uint8Array ? body : undefined;
}

/** Reads `rawHeaders`, where a field sent twice stands twice; `headers` would join the values into one that nobody has sent. */
class RawFields implements HeaderFields {
  readonly #raw: readonly string[];

  constructor(raw: readonly string[]) {
    this.#raw = raw;
  }

  get(name: string): string | undefined {
    const raw = this.#raw;
    for (let at = 0; at < raw.length; at += 2) {
      const field = raw[at];
      if (field !== undefined && field.length === name.length && field.toLowerCase() === name) return raw[at + 1];
    }
    return undefined;
  }

  forEach(visit: (value: string, name: string) => void): void {
    const raw = this.#raw;
    for (let at = 0; at + 1 < raw.length; at += 2) visit(raw[at + 1] ?? "", (raw[at] ?? "").toLowerCase());
  }
}

function readBody(message: IncomingMessage, rawBody: Uint8Array | undefined, limits: BodyLimits): Uint8Array | Promise<Uint8Array> {
  const arrived = rawBody ?? arrivedBody(message);
  if (arrived === undefined) return awaitBody(message, limits);
  if (arrived.length > limits.bytes) throw bodyTooLarge(limits.bytes);
  return arrived;
}

/**
 * A body of stated length that is there as a whole and that nobody else reads: most are, for they come in one packet with their header. To take
 * it at once saves the listeners, the timer and the turn of the event loop that waiting for its end takes.
 */
function arrivedBody(message: IncomingMessage): Uint8Array | undefined {
  const { readableFlowing, readableEncoding, readableLength } = message;
  if (readableFlowing !== null || readableEncoding !== null || readableLength === 0) return undefined;
  if (readableLength !== Number(message.headers["content-length"])) return undefined;
  const body: unknown = message.read();
  // Nobody waits for its end, but only a request that ends frees what it holds. One that is complete does so once it is read; to have it flow
  // as well would cost a turn of its own.
  if (!message.complete) message.resume();
  return body instanceof Uint8Array ? body : undefined;
}

/** Listens to the events of the stream itself: an async iterator over it would double the time of a small body. */
function awaitBody(message: IncomingMessage, { bytes, time, clock }: BodyLimits): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;

    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > bytes) return fail(bodyTooLarge(bytes));
      chunks.push(chunk);
    };
    const onEnd = (): void => {
      release();
      const [only] = chunks;
      resolve(chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, size));
    };
    const onLoss = (cause?: unknown): void => fail(bodyIncomplete(cause));
    const fail = (error: Error): void => {
      release();
      message.pause();
      reject(error);
    };
    const stopTimer = clock.after(time, onLoss);
    const release = (): void => {
      stopTimer();
      message.off("data", onData).off("end", onEnd).off("close", onLoss).off("error", onLoss);
    };

    if (message.readableDidRead || message.readableEnded) return fail(bodyTaken());
    if (message.destroyed) return onLoss();
    message.on("data", onData).on("end", onEnd).on("close", onLoss).on("error", onLoss);
  });
}
