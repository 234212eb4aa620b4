import type { DecodedMessage } from "../handlers/decode/decode.ts";
import type { Message } from "../message.ts";
import type { Handler } from "../pipeline/handler.ts";
import type { Codec } from "./codec.ts";

import { EventDriverError, invalidOption, isEventDriverError, quote } from "../errors.ts";

/**
 * Turns content into typed values by a codec, and passes on what came of it; `message.encoded` is what was read.
 *
 * Put it behind the stages that store messages, as `decode`. A message that says another `datacontenttype` or `dataschema` than the codec fails for good
 * before its content is looked at; one that says none is taken at the codec's word.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; the message fails with `ERR_SCHEMA_MISMATCH` or `ERR_DECODE_FAILED`, both terminal
 * @example pipeline().use(joiner({ store, condition })).use(decodeWith(orderCodec)).use(charge)
 */
export function decodeWith<Value>(codec: Codec<Value>): Handler<Message, DecodedMessage<Value>> {
  requireCodec("decodeWith", codec);
  return decoding("decodeWith", (message) => {
    const { dataschema } = message.attributes;
    if (codec.dataSchema !== undefined && dataschema && dataschema !== codec.dataSchema)
      throw mismatch(message, "dataschema", codec.dataSchema);
    return codec;
  });
}

/**
 * The same for a stream with content of several schemas: each message is read by the codec of its `dataschema`, and by the one without a schema, if there is
 * one, where it says none or another.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; the message fails with `ERR_SCHEMA_MISMATCH` or `ERR_DECODE_FAILED`, both terminal
 * @example pipeline().use(decodeAny([orderCodec, refundCodec])).use(async (ctx, { content }) => { ... });
 */
export function decodeAny<Values extends readonly unknown[]>(codecs: {
  readonly [Place in keyof Values]: Codec<Values[Place]>;
}): Handler<Message, DecodedMessage<Values[number]>> {
  const bySchema = new Map<string | undefined, Codec<Values[number]>>();
  for (const codec of codecs) {
    requireCodec("decodeAny", codec);
    if (bySchema.has(codec.dataSchema))
      throw invalidOption("decodeAny", "codecs", codec.dataSchema, "one for each dataSchema, and at most one without");
    bySchema.set(codec.dataSchema, codec);
  }
  if (bySchema.size === 0) throw invalidOption("decodeAny", "codecs", "", "one codec or more");
  const expected = [...bySchema.keys()].filter((schema) => schema !== undefined).join(", ");

  return decoding("decodeAny", (message) => {
    const codec = bySchema.get(message.attributes["dataschema"] || undefined) ?? bySchema.get(undefined);
    if (codec === undefined) throw mismatch(message, "dataschema", expected);
    return codec;
  });
}

function decoding<Value>(name: string, choose: (message: Message) => Codec<Value>): Handler<Message, DecodedMessage<Value>> {
  return {
    traits: { name },
    process(ctx, message, next) {
      const codec = choose(message);
      const { datacontenttype } = message.attributes;
      if (codec.contentType !== undefined && datacontenttype && !reads(codec, codec.contentType, datacontenttype)) {
        throw mismatch(message, "datacontenttype", codec.contentType);
      }
      const content = decoded(codec, message);
      if (!(content instanceof Promise)) return next(ctx, { ...message, content, encoded: message });
      return content.then(
        (value) => next(ctx, { ...message, content: value, encoded: message }),
        (error: unknown) => {
          throw decodeFailed(message, error);
        },
      );
    },
  };
}

function decoded<Value>(codec: Codec<Value>, message: Message): Value | Promise<Value> {
  try {
    return codec.decode(message.content);
  } catch (error) {
    throw decodeFailed(message, error);
  }
}

/** Parameters do not count; the one of a character set says how text was written, and text has been read already. */
function reads({ alsoReads }: Codec<unknown>, contentType: string, found: string): boolean {
  if (found === contentType) return true;
  const expected = essenceOf(contentType);
  const essence = essenceOf(found);
  if (essence === expected || alsoReads?.includes(essence)) return true;
  return expected === "application/json" && (essence.endsWith("+json") || essence.endsWith("/json"));
}

function essenceOf(mediaType: string): string {
  const end = mediaType.indexOf(";");
  return (end === -1 ? mediaType : mediaType.slice(0, end)).trim().toLowerCase();
}

function mismatch({ id, attributes }: Message, name: string, expected: string): EventDriverError {
  const found = attributes[name];
  return new EventDriverError("ERR_SCHEMA_MISMATCH", {
    message: `message ${quote(id)} has ${found ? `the ${name} ${quote(found)}` : `no ${name}`}, read is ${quote(expected)}; add a codec for it, or route it elsewhere`,
    retryable: false,
  });
}

function decodeFailed({ id }: Message, error: unknown): EventDriverError {
  const known = isEventDriverError(error) ? error : undefined;
  if (known !== undefined && known.code !== "ERR_DECODE_FAILED") return known;
  return new EventDriverError("ERR_DECODE_FAILED", {
    message: `the content of message ${quote(id)} does not fit: ${known?.message ?? "it cannot be read"}; correct its sender, or the codec`,
    retryable: false,
    cause: error,
  });
}

function requireCodec(factory: string, codec: Partial<Codec<unknown>> | undefined): void {
  if (typeof codec?.encode !== "function" || typeof codec.decode !== "function") {
    throw invalidOption(factory, "codec", codec, "an object with the functions encode and decode");
  }
}
