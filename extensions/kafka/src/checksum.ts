import { crc32c, Writer } from "@platformatic/kafka";

/** CRC-32C of what comes in, or goes out. The client copies bytes before it reads them, unless they are in a buffer of its own. */
export function checksumOf(bytes: Buffer): number {
  return crc32c(Writer.create().append(bytes).dynamicBuffer);
}
