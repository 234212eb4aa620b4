export { protobufCodec, type ProtobufCodecOptions } from "./protobuf-codec.ts";
