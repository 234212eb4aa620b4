import { type Duration, DurationSchema, type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { protobufCodec } from "@event-driver/protobuf";
import { pipeline } from "event-driver";
import { type Codec, decodeAny } from "event-driver/codecs";
import { expectTypeOf, test } from "vitest";

test("a codec has the type of its schema's messages", () => {
  expectTypeOf(protobufCodec(TimestampSchema)).toEqualTypeOf<Codec<Timestamp>>();
});

test("behind several, messages are told apart by the name of their type", () => {
  pipeline()
    .use(decodeAny([protobufCodec(TimestampSchema, { dataSchema: "urn:a" }), protobufCodec(DurationSchema, { dataSchema: "urn:b" })]))
    .use(async (_ctx, { content }) => {
      expectTypeOf(content).toEqualTypeOf<Timestamp | Duration>();
      if (content.$typeName === "google.protobuf.Duration") expectTypeOf(content).toEqualTypeOf<Duration>();
    });
});
