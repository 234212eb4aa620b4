import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { type Bucket, type File, Storage } from "@google-cloud/storage";

import { services } from "../../../../test/services.ts";
import { newBucket } from "./emulated-bucket.ts";
import fixture from "./go-bucket/bucket.json" with { type: "json" };

/** An object as the Go original has written it, and the message that it was. */
export interface GoObject {
  readonly key: string;
  readonly source: string;
  readonly content: Buffer;
  readonly name: string;
  readonly stored: Buffer;
}

export type GoCompressor = keyof typeof fixture;

/** The objects of the fixture, in the order in which they were created. */
export function goObjects(compressor: GoCompressor): readonly GoObject[] {
  return fixture[compressor].map(({ key, source, name, content, stored }) => ({
    key,
    source,
    name,
    content: Buffer.from(content, "base64"),
    stored: Buffer.from(stored, "base64"),
  }));
}

/** A new bucket with these objects, each created a millisecond or more after the one before. Resolves to its name. */
export async function bucketWith(objects: readonly Pick<GoObject, "name" | "stored">[], folder = ""): Promise<string> {
  const bucket = await newBucket();
  for (const { name, stored } of objects) await save(bucket, `${folder}${name}`, stored);
  return bucket;
}

/** Stands in for a Go service: keeps to the rule of its layout, with code of its own. */
export class GoService {
  readonly #bucket: string;
  readonly #folder: string;
  readonly #gzip: boolean;

  constructor(bucket: string, { folder = "", gzip = false }: { readonly folder?: string; readonly gzip?: boolean } = {}) {
    this.#bucket = bucket;
    this.#folder = folder;
    this.#gzip = gzip;
  }

  async persist(key: string, source: string, content: string): Promise<void> {
    const bytes = Buffer.from(content);
    const stored = this.#gzip && bytes.length > 0 ? gzipSync(bytes, { level: 1 }) : bytes;
    const digest = createHash("sha256").update(stored).digest("base64").replaceAll("+", "-").replaceAll("/", "_");
    await save(this.#bucket, [...this.#folders, key, source, digest].join("/"), stored);
  }

  /** The content of the object that was created first under the key and source. */
  async lookUp(key: string, source: string): Promise<string | undefined> {
    const [first] = (await this.#files([...this.#folders, key, source].join("/"))).toSorted(
      (left, right) => createdAt(left) - createdAt(right),
    );
    if (first === undefined) return undefined;
    const [stored] = await first.download({ decompress: false });
    return (this.#gzip && stored.length > 0 ? gunzipSync(stored) : stored).toString();
  }

  async listSources(key: string): Promise<readonly string[]> {
    const files = await this.#files([...this.#folders, key].join("/"));
    return [...new Set(files.map(({ name }) => name.split("/").at(-2) ?? ""))];
  }

  get #folders(): readonly string[] {
    return this.#folder === "" ? [] : [this.#folder];
  }

  async #files(prefix: string): Promise<readonly File[]> {
    const [files] = await bucketNamed(this.#bucket).getFiles({ prefix: `${prefix}/` });
    return files;
  }
}

/** Resolves when the clock shows another millisecond, so that what is created next is created later. */
export async function nextMillisecond(): Promise<void> {
  const now = Date.now();
  while (Date.now() === now) await setImmediate();
}

async function save(bucket: string, name: string, stored: Buffer): Promise<void> {
  await bucketNamed(bucket).file(name).save(stored, { resumable: false });
  await nextMillisecond();
}

function createdAt({ metadata }: File): number {
  return Date.parse(metadata.timeCreated ?? "");
}

/** By the plain client, with nothing of the store's in between. */
function bucketNamed(name: string): Bucket {
  return new Storage({ projectId: "test", apiEndpoint: services.gcs.url }).bucket(name);
}
