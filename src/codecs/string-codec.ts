import { type Codec, requireNamed, unreadable } from "./codec.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export interface StringCodecOptions {
  /**
   * The media type of the text.
   * @default "text/plain"
   */
  readonly contentType?: string | undefined;
}

/**
 * Text as it is. Bytes are read as UTF-8, and refused where they are none.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example encodeMessage(message, stringCodec({ contentType: "text/csv" }))
 */
export function stringCodec({ contentType = "text/plain" }: StringCodecOptions = {}): Codec<string> {
  requireNamed("stringCodec", "contentType", contentType);

  return {
    contentType,
    encode: (text) => text,
    decode: (content) => (typeof content === "string" ? content : textOf(content)),
  };
}

function textOf(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw unreadable("it is not valid UTF-8", cause);
  }
}
