import { type Codec, requireNamed } from "./codec.ts";

const encoder = new TextEncoder();

export interface BytesCodecOptions {
  /**
   * The media type of the bytes.
   * @default "application/octet-stream"
   */
  readonly contentType?: string | undefined;
}

/**
 * Bytes as they are. Text is read as its UTF-8.
 *
 * Use it for content with a format of its own, such as images, and where the other side must be told so.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example encodeMessage(message, bytesCodec({ contentType: "image/png" }))
 */
export function bytesCodec({ contentType = "application/octet-stream" }: BytesCodecOptions = {}): Codec<Uint8Array> {
  requireNamed("bytesCodec", "contentType", contentType);

  return {
    contentType,
    encode: (bytes) => bytes,
    decode: (content) => (typeof content === "string" ? encoder.encode(content) : content),
  };
}
