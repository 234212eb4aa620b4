import type { Message } from "event-driver";

import { fromWire, type WireEvent } from "@event-driver/cloudevents";
import { quote, withKey, withSource } from "event-driver";

import { invalidData, isObject, type JsonObject, parseObject, textIn, textsIn } from "../receive/json-fields.ts";

/** What Cloud Storage tells of an object. Numbers of 64 bits are text, as JSON writes them there. */
export interface StorageObjectData {
  readonly bucket: string;
  /** The object's name, slashes included. */
  readonly name: string;
  /** Changes with each new content of that name. */
  readonly generation: string;
  readonly metageneration?: string;
  readonly contentType?: string;
  readonly contentEncoding?: string;
  /** In bytes. */
  readonly size?: string;
  readonly timeCreated?: string;
  readonly updated?: string;
  readonly timeDeleted?: string;
  readonly storageClass?: string;
  /** Base64. */
  readonly md5Hash?: string;
  /** Base64, most significant byte first. */
  readonly crc32c?: string;
  readonly etag?: string;
  /** What whoever wrote the object has noted on it. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** A Standard Schema of version 1, as `decode` takes it. */
export interface StorageObjectSchema {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: "event-driver";
    readonly validate: (
      value: unknown,
    ) => { readonly value: StorageObjectData } | { readonly issues: readonly { readonly message: string }[] };
  };
}

export interface StorageFinalizedOptions {
  /**
   * The key of a message.
   * @default the object's name
   */
  readonly key?: ((object: StorageObjectData) => string) | undefined;
  /**
   * The attributes the key of any other event may stand in, in the order they are asked.
   * @default ["key", "partitionkey", "subject"]
   */
  readonly keyFrom?: readonly string[] | undefined;
}

const finalized = "google.cloud.storage.object.v1.finalized";

const textFields = [
  "metageneration",
  "contentType",
  "contentEncoding",
  "size",
  "timeCreated",
  "updated",
  "timeDeleted",
  "storageClass",
  "md5Hash",
  "crc32c",
  "etag",
] as const;

/**
 * Makes the message of an event that tells of a new object, or of new content of one: its source is the bucket and its key the object's name.
 * The content stays the JSON text that it is; have `decode(storageObject)` read it. Events of any other type become messages as they are.
 *
 * Use it as the `toMessage` of a function with a Cloud Storage trigger.
 *
 * @throws EventDriverError `ERR_INVALID_MESSAGE`, terminal, for data that does not tell of an object
 * @example functions.http("thumbnails", toHttpFunction(thumbnails, { toMessage: storageFinalized() }));
 */
export function storageFinalized({ key, keyFrom }: StorageFinalizedOptions = {}): (event: WireEvent) => Message {
  return (event) => {
    if (event.attributes["type"] !== finalized) return fromWire(event, { keyFrom });
    const object = readObject(parseObject(event.data, `the data of event ${quote(event.attributes["id"] ?? "")}`));
    const message = fromWire(event, { fallbackKey: object.name });
    return withKey(withSource(message, object.bucket), key?.(object) ?? object.name);
  };
}

/**
 * The schema of what Cloud Storage tells of an object, for `decode`.
 *
 * @example pipeline().use(decode(storageObject)).use(async (ctx, { content }) => { await resize(content.bucket, content.name); });
 */
export const storageObject: StorageObjectSchema = {
  "~standard": {
    version: 1,
    vendor: "event-driver",
    validate(value) {
      if (!isObject(value)) return { issues: [{ message: "not an object" }] };
      try {
        return { value: readObject(value) };
      } catch (error) {
        return { issues: [{ message: error instanceof Error ? error.message : "not what Cloud Storage tells of an object" }] };
      }
    },
  },
};

/** @throws EventDriverError `ERR_INVALID_MESSAGE` */
function readObject(data: JsonObject): StorageObjectData {
  const what = "a storage object";
  const required = (name: string): string => {
    const text = textIn(data, name, what);
    if (!text) throw invalidData(`${what} has no ${name}`);
    return text;
  };
  const texts = textFields.flatMap((name) => {
    const text = textIn(data, name, what);
    return text === undefined ? [] : [[name, text]];
  });
  return {
    bucket: required("bucket"),
    name: required("name"),
    generation: required("generation"),
    ...Object.fromEntries(texts),
    metadata: textsIn(data, "metadata", what),
  };
}
