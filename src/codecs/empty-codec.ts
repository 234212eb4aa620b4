import { type Codec, unreadable } from "./codec.ts";

/**
 * No content: what happened is told by the message's type and attributes alone. Content that is there is refused.
 *
 * @example encodeMessage(withContent(message, undefined), emptyCodec())
 */
export function emptyCodec(): Codec<undefined> {
  return {
    encode: () => "",
    decode(content) {
      if (content.length > 0) throw unreadable("it should have been empty");
      return undefined;
    },
  };
}
