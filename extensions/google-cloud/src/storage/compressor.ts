import { isUint8Array } from "node:util/types";
import { promisify } from "node:util";
import zlib from "node:zlib";

import { EventDriverError, invalidOption } from "event-driver";

/** Makes content smaller, or unreadable to others, while it is stored. */
export interface Compressor {
  /** Kept with every object, so that it is read by the same one. */
  readonly name: string;
  compress(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** Must not make more than `limit` bytes; throws where there would be more. */
  decompress(bytes: Uint8Array, limit: number): Uint8Array | Promise<Uint8Array>;
}

/** One that is built in, or one of your own. */
export type CompressorOption = "none" | "gzip" | "brotli" | "zstd" | Compressor;

/** The one that objects are written with, and those that they are read with. */
export class Compressors {
  readonly #own: Compressor;
  readonly #limit: number;

  constructor(own: Compressor, limit: number) {
    this.#own = own;
    this.#limit = limit;
  }

  /** Name of the one that {@link compress} uses. */
  get name(): string {
    return this.#own.name;
  }

  /** @throws EventDriverError `ERR_TOO_LARGE` when the content could not be read again. */
  async compress(bytes: Uint8Array): Promise<Uint8Array> {
    if (bytes.length > this.#limit) throw tooLarge(this.#limit);
    return this.#own.compress(bytes);
  }

  /** @throws EventDriverError `ERR_TOO_LARGE`; `ERR_STORE_FAILED` for a name that is not known; `ERR_STORE_CORRUPT` */
  async decompress(name: string, bytes: Uint8Array): Promise<Uint8Array> {
    const compressor = name === this.#own.name ? this.#own : builtIn.get(name);
    if (compressor === undefined) throw unknown(name);
    const content = await decompressed(compressor, bytes, this.#limit);
    if (content.length > this.#limit) throw tooLarge(this.#limit);
    return content;
  }
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function resolveCompressor(option: CompressorOption): Compressor {
  const compressor = typeof option === "string" ? builtIn.get(option) : option;
  if (typeof compressor?.compress !== "function" || typeof compressor.decompress !== "function") throw invalid(option);
  if (typeof compressor.name !== "string" || compressor.name === "") throw invalid(option);
  if (builtIn.has(compressor.name) && builtIn.get(compressor.name) !== compressor) throw invalid(`a compressor named ${compressor.name}`);
  return compressor;
}

const [gzip, gunzip] = [promisify(zlib.gzip), promisify<Uint8Array, zlib.ZlibOptions, Buffer>(zlib.gunzip)];
const [brotli, unbrotli] = [promisify(zlib.brotliCompress), promisify<Uint8Array, zlib.BrotliOptions, Buffer>(zlib.brotliDecompress)];
const [zstd, unzstd] = [promisify(zlib.zstdCompress), promisify<Uint8Array, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress)];

const builtIn: ReadonlyMap<string, Compressor> = new Map(
  [
    { name: "none", compress: (bytes: Uint8Array) => bytes, decompress: (bytes: Uint8Array) => bytes },
    { name: "gzip", compress: gzip, decompress: (bytes: Uint8Array, limit: number) => gunzip(bytes, { maxOutputLength: limit }) },
    { name: "brotli", compress: brotli, decompress: (bytes: Uint8Array, limit: number) => unbrotli(bytes, { maxOutputLength: limit }) },
    { name: "zstd", compress: zstd, decompress: (bytes: Uint8Array, limit: number) => unzstd(bytes, { maxOutputLength: limit }) },
  ].map((compressor: Compressor): [string, Compressor] => [compressor.name, compressor]),
);

async function decompressed(compressor: Compressor, bytes: Uint8Array, limit: number): Promise<Uint8Array> {
  try {
    const content = await compressor.decompress(bytes, limit);
    if (isUint8Array(content)) return content;
  } catch (cause) {
    if (cause instanceof RangeError && "code" in cause && cause.code === "ERR_BUFFER_TOO_LARGE") throw tooLarge(limit, cause);
    throw damaged(compressor.name, cause);
  }
  throw damaged(compressor.name);
}

function tooLarge(limit: number, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_TOO_LARGE", {
    message: `gcsEventStore: the content has more than ${limit} bytes; raise maxContentBytes, or keep such content elsewhere`,
    retryable: false,
    cause,
  });
}

function unknown(name: string): EventDriverError {
  return new EventDriverError("ERR_STORE_FAILED", {
    message: `gcsEventStore: the object was stored by compressor ${JSON.stringify(name)}, which is not known; give that as the option compressor`,
    retryable: true,
  });
}

function damaged(name: string, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_STORE_CORRUPT", {
    message: `gcsEventStore: compressor ${JSON.stringify(name)} cannot read what it has stored; restore the object from a copy`,
    retryable: true,
    cause,
  });
}

function invalid(given: unknown): EventDriverError {
  return invalidOption(
    "gcsEventStore",
    "compressor",
    given,
    '"none", "gzip", "brotli", "zstd", or an object with another name, compress and decompress',
  );
}
