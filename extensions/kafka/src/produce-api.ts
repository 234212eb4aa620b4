import { type API, createAPI, type CompressionAlgorithmValue, type Reader, Writer } from "@platformatic/kafka";
import { EventDriverError } from "event-driver";

import { type BatchToEncode, encodeBatch } from "./batch-encoder.ts";

/** Records for one partition. */
export interface PartitionBatch extends BatchToEncode {
  readonly partition: number;
}

export interface ProduceRequest {
  readonly topic: string;
  /** At most one for each partition. */
  readonly batches: readonly PartitionBatch[];
  readonly compression: CompressionAlgorithmValue;
  /** How many milliseconds the replicas have. */
  readonly timeout: number;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** What a broker answers for one partition. */
export interface ProduceOutcome {
  readonly partition: number;
  readonly errorCode: number;
  readonly errorMessage: string | null;
}

/** One request that writes records, with what is answered for each partition. */
export type ProduceApi = API<[request: ProduceRequest], readonly ProduceOutcome[]>;

interface SpokenVersions {
  readonly apiKey: number;
  readonly minVersion: number;
  readonly maxVersion: number;
}

const apiKey = 0;
/** The first one that knows message format 2. */
const oldest = 3;
const newest = 11;
const firstWithLogStart = 5;
const firstWithErrorMessages = 8;
/** From this version on messages have compact arrays and tagged fields. */
const firstFlexible = 9;
/** All replicas that are in sync have to have the records. */
const allReplicas = -1;

/**
 * The newest version of a request to write that a broker has too.
 *
 * The client numbers the records of a request when it is sent, and gives them new numbers when others were ahead of them: so the numbers are ours.
 *
 * @throws EventDriverError `ERR_UNSUPPORTED`
 */
export function produceApi(spoken: readonly SpokenVersions[]): ProduceApi {
  const { minVersion = 0, maxVersion = 0 } = spoken.find((each) => each.apiKey === apiKey) ?? {};
  const version = Math.min(newest, maxVersion);
  if (version < oldest || version < minVersion) throw notSpoken(minVersion, maxVersion);
  const isFlexible = version >= firstFlexible;
  return createAPI<[request: ProduceRequest], readonly ProduceOutcome[]>(
    apiKey,
    version,
    (request: ProduceRequest) => createRequest(request, isFlexible),
    parseAnswer,
    isFlexible,
    isFlexible,
  );
}

async function createRequest({ topic, batches, compression, timeout, now }: ProduceRequest, isFlexible: boolean): Promise<Writer> {
  const encoded: { readonly partition: number; readonly bytes: Buffer }[] = [];
  for (const batch of batches) encoded.push({ partition: batch.partition, bytes: await encodeBatch(batch, compression, now) });
  const writer = Writer.create()
    .appendString(null, isFlexible)
    .appendInt16(allReplicas)
    .appendInt32(timeout)
    .appendArray(
      [topic],
      (inTopics, name) => {
        inTopics.appendString(name, isFlexible).appendArray(
          encoded,
          (inPartitions, { partition, bytes }) => {
            inPartitions.appendInt32(partition).appendBytes(bytes, isFlexible);
          },
          isFlexible,
          isFlexible,
        );
      },
      isFlexible,
      isFlexible,
    );
  return isFlexible ? writer.appendTaggedFields() : writer;
}

function parseAnswer(_correlationId: number, _apiKey: number, version: number, reader: Reader): readonly ProduceOutcome[] {
  const isFlexible = version >= firstFlexible;
  return reader
    .readArray(
      (inTopics) => {
        inTopics.readString(isFlexible);
        return inTopics.readArray((inPartitions) => parseOutcome(version, inPartitions), isFlexible, isFlexible);
      },
      isFlexible,
      isFlexible,
    )
    .flat();
}

function parseOutcome(version: number, reader: Reader): ProduceOutcome {
  const isFlexible = version >= firstFlexible;
  const partition = reader.readInt32();
  const errorCode = reader.readInt16();
  reader.readInt64(); // The first offset.
  reader.readInt64(); // When it was appended.
  if (version >= firstWithLogStart) reader.readInt64();
  if (version < firstWithErrorMessages) return { partition, errorCode, errorMessage: null };
  reader.readArray((inErrors) => skipRecordError(inErrors, isFlexible), isFlexible, isFlexible);
  return { partition, errorCode, errorMessage: reader.readNullableString(isFlexible) };
}

function skipRecordError(reader: Reader, isFlexible: boolean): void {
  reader.readInt32();
  reader.readNullableString(isFlexible);
}

function notSpoken(minVersion: number, maxVersion: number): EventDriverError {
  return new EventDriverError("ERR_UNSUPPORTED", {
    message: `the Kafka broker speaks versions ${minVersion} to ${maxVersion} of produce, and ${oldest} to ${newest} are spoken here; update the cluster, or this package`,
    retryable: false,
  });
}
