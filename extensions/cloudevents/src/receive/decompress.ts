import { EventDriverError, isEventDriverError } from "event-driver";

import { invalidEvent } from "../event/attribute-rules.ts";
import { joinBytes } from "../http/join-bytes.ts";
import { bodyTooLarge } from "./request.ts";

export type ContentEncoding = "gzip" | "deflate";

/**
 * The coding that a body has to be taken out of, if any.
 *
 * @throws EventDriverError `ERR_UNSUPPORTED` where it is not one of those understood
 */
export function codingOf(header: string | undefined, understood: readonly ContentEncoding[]): ContentEncoding | undefined {
  const name = header?.trim().toLowerCase();
  if (name === undefined || name === "" || name === "identity") return undefined;
  const coding = understood.find((each) => each === name || `x-${each}` === name);
  if (coding !== undefined) return coding;
  const allowed = understood.length === 0 ? "none is understood" : `understood is ${understood.join(", ")}`;
  throw new EventDriverError("ERR_UNSUPPORTED", { message: `the body has a Content-Encoding, and ${allowed}`, retryable: false });
}

/**
 * The body as it was before it was compressed. Stops as soon as that exceeds `limit` bytes, however small the compressed one is.
 *
 * @throws EventDriverError `ERR_TOO_LARGE`, `ERR_INVALID_EVENT`
 */
export async function decompress(body: Uint8Array, coding: ContentEncoding, limit: number): Promise<Uint8Array> {
  const stream = new Blob([new Uint8Array(body)]).stream().pipeThrough(new DecompressionStream(coding));
  try {
    return await collect(stream.getReader(), limit);
  } catch (error) {
    if (isEventDriverError(error)) throw error;
    throw invalidEvent("the body is not what its Content-Encoding says", error);
  }
}

/** The bytes of a stream; cancels it beyond `limit`. @throws EventDriverError `ERR_TOO_LARGE` */
export async function collect(reader: ReadableStreamDefaultReader<Uint8Array>, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return joinBytes(chunks, size);
    size += value.length;
    if (size > limit) break;
    chunks.push(value);
  }
  await reader.cancel();
  throw bodyTooLarge(limit);
}
