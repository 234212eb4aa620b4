import { joinBytes } from "../http/join-bytes.ts";

/**
 * The body of a response, read to its end so that the connection can be used again; `undefined` where it is larger than `limit` bytes: then
 * reading stops and the connection is closed.
 */
export async function readResponseBody(response: Response, limit: number): Promise<Uint8Array | undefined> {
  if (response.body === null) return new Uint8Array(0);
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of response.body) {
    length += piece.length;
    if (length > limit) return undefined;
    pieces.push(piece);
  }
  return joinBytes(pieces, length);
}
