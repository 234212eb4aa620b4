import type { Codec, CodecOptions } from "event-driver/codecs";

import { type DescMessage, fromBinary, fromJsonString, type MessageShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import { EventDriverError, invalidOption } from "event-driver";

export interface ProtobufCodecOptions extends CodecOptions {
  /**
   * How messages are written: in the binary format, or in ProtoJSON for readers that have no schema.
   * @default "binary"
   */
  readonly format?: "binary" | "json" | undefined;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * Messages of Protocol Buffers, by a schema that `protoc-gen-es` has generated.
 *
 * Bytes of another type can often be read without a complaint, so where a stream may hold several, give each its `dataSchema`. Fields that the schema does
 * not know are kept, and written again.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example const orders = protobufCodec(OrderSchema, { dataSchema: "https://shop.example/shop.v1.Order" });
 */
export function protobufCodec<Schema extends DescMessage>(
  schema: Schema,
  { dataSchema, format = "binary" }: ProtobufCodecOptions = {},
): Codec<MessageShape<Schema>> {
  if (schema?.kind !== "message")
    throw invalidOption("protobufCodec", "schema", schema, "the schema of a message, as protoc-gen-es generates it");
  if (dataSchema === "") throw invalidOption("protobufCodec", "dataSchema", dataSchema, "a text that is not empty, or none at all");
  if (format === "binary") return binaryCodec(schema, dataSchema);
  if (format === "json") return jsonCodec(schema, dataSchema);
  throw invalidOption("protobufCodec", "format", format, '"binary" or "json"');
}

function binaryCodec<Schema extends DescMessage>(schema: Schema, dataSchema: string | undefined): Codec<MessageShape<Schema>> {
  return {
    // RFC 9996, with the names from before it.
    contentType: "application/protobuf",
    alsoReads: ["application/x-protobuf", "application/x-protobuffer", "application/vnd.google.protobuf"],
    dataSchema,
    encode: (message) => toBinary(schema, ofType(schema, message)),
    decode(content) {
      if (typeof content === "string") throw unreadable("it is text, and not in the binary format");
      return reading(schema, () => fromBinary(schema, content));
    },
  };
}

function jsonCodec<Schema extends DescMessage>(schema: Schema, dataSchema: string | undefined): Codec<MessageShape<Schema>> {
  return {
    contentType: "application/protobuf+json; charset=utf-8",
    alsoReads: ["application/x-protobuf+json", "application/json"],
    dataSchema,
    encode: (message) => toJsonString(schema, ofType(schema, message)),
    // A field that the schema does not know may come from a newer one; JSON has no way to keep it.
    decode: (content) =>
      reading(schema, () =>
        fromJsonString(schema, typeof content === "string" ? content : decoder.decode(content), { ignoreUnknownFields: true }),
      ),
  };
}

function ofType<Schema extends DescMessage>(schema: Schema, message: MessageShape<Schema>): MessageShape<Schema> {
  if (message?.$typeName !== schema.typeName) throw new TypeError(`it is no ${schema.typeName}; make it with create()`);
  return message;
}

function reading<Value>(schema: DescMessage, read: () => Value): Value {
  try {
    return read();
  } catch (cause) {
    throw unreadable(`it is no ${schema.typeName}`, cause);
  }
}

function unreadable(problem: string, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_DECODE_FAILED", { message: problem, retryable: false, cause });
}
