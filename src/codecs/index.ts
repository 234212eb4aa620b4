export { bytesCodec, type BytesCodecOptions } from "./bytes-codec.ts";
export { type Codec, type CodecOptions } from "./codec.ts";
export { decodeAny, decodeWith } from "./decode-with.ts";
export { emptyCodec } from "./empty-codec.ts";
export { encodeMessage } from "./encode-message.ts";
export { jsonCodec } from "./json-codec.ts";
export { stringCodec, type StringCodecOptions } from "./string-codec.ts";
