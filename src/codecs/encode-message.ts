import type { Codec } from "./codec.ts";

import { EventDriverError, quote } from "../errors.ts";
import { createMessage, type Message, type StorableContent } from "../message.ts";

/**
 * The message as it can be stored and sent: its content written by the codec, and `datacontenttype` and `dataschema` as the codec says them. What the codec
 * does not say stays as it is.
 *
 * Use it before a message is published; {@link decodeWith} is the way back.
 *
 * @throws EventDriverError `ERR_ENCODE_FAILED`, terminal, when the codec cannot write the content
 * @example await connection.publish("orders", encodeMessage(withContent(message, { total: 12 }), orderCodec));
 */
export function encodeMessage<Value>(message: Message<Value>, codec: Codec<Value>): Message {
  const { contentType, dataSchema } = codec;
  return createMessage({
    ...message,
    content: written(message, codec),
    attributes: {
      ...message.attributes,
      ...(contentType !== undefined && { datacontenttype: contentType }),
      ...(dataSchema !== undefined && { dataschema: dataSchema }),
    },
  });
}

function written<Value>({ id, content }: Message<Value>, codec: Codec<Value>): StorableContent {
  try {
    return codec.encode(content);
  } catch (cause) {
    throw new EventDriverError("ERR_ENCODE_FAILED", {
      message: `the content of message ${quote(id)} cannot be written${codec.contentType === undefined ? "" : ` as ${codec.contentType}`}; correct what has made it`,
      retryable: false,
      cause,
    });
  }
}
