import {
  type API,
  type Consumer,
  createAPI,
  fetchV11,
  fetchV12,
  fetchV13,
  fetchV14,
  fetchV15,
  fetchV16,
  fetchV17,
  type Reader,
  ResponseError,
} from "@platformatic/kafka";
import { EventDriverError } from "event-driver";

/** What a broker answers for one partition. */
export interface PartitionAnswer {
  /** As it was asked for: by its id, or by its name where `usesTopicIds` is false. */
  readonly topic: string;
  readonly index: number;
  readonly errorCode: number;
  /** The offset behind the last record there is. */
  readonly highWatermark: bigint;
  /** The offset of the first record whose transaction is not decided. */
  readonly lastStableOffset: bigint;
  readonly abortedTransactions: readonly AbortedTransaction[];
  /** The node to fetch from instead; negative where there is none. */
  readonly preferredReplica: number;
  /** Batches of records as they stand in the log. The last one may be cut off. */
  readonly records: Buffer | null;
}

export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: bigint;
}

type FetchRequest = Parameters<typeof fetchV17.createRequest>;
/** One request for records, with what is answered for each partition. */
export type FetchApi = API<FetchRequest, readonly PartitionAnswer[]>;

/** From this version on messages have compact arrays and tagged fields. */
const firstFlexible = 12;
const firstWithTopicIds = 13;

/**
 * The newest version of a fetch that the broker has too.
 *
 * The client would make several objects of each header of each record, before anybody knows which of them are needed: so records are taken as bytes.
 *
 * @throws EventDriverError `ERR_UNSUPPORTED`; the client's error
 */
export async function fetchApi(consumer: Pick<Consumer, "listApis">): Promise<FetchApi> {
  const spoken = (await consumer.listApis()).find(({ apiKey }) => apiKey === fetchV17.api.key);
  const found = apis.find(({ version }) => spoken !== undefined && version >= spoken.minVersion && version <= spoken.maxVersion);
  if (found === undefined) throw tooOld(spoken?.maxVersion);
  return found;
}

export function usesTopicIds({ version }: FetchApi): boolean {
  return version >= firstWithTopicIds;
}

const apis: readonly FetchApi[] = [fetchV17, fetchV16, fetchV15, fetchV14, fetchV13, fetchV12, fetchV11].map(
  ({ api: { key, version }, createRequest }) => {
    const isFlexible = version >= firstFlexible;
    return createAPI<FetchRequest, readonly PartitionAnswer[]>(key, version, createRequest, parseAnswer, isFlexible, isFlexible);
  },
);

function parseAnswer(_correlationId: number, apiKey: number, version: number, reader: Reader): readonly PartitionAnswer[] {
  const isFlexible = version >= firstFlexible;
  reader.readInt32(); // How long the broker has throttled us.
  const errorCode = reader.readInt16();
  if (errorCode !== 0) throw new ResponseError(apiKey, version, { "": [errorCode, null] }, {});
  reader.readInt32(); // The session, which is none.
  return reader
    .readArray(
      (inTopics) => {
        const topic = version >= firstWithTopicIds ? inTopics.readUUID() : inTopics.readString(isFlexible);
        return inTopics.readArray((inPartitions) => parsePartition(topic, inPartitions, isFlexible), isFlexible, isFlexible);
      },
      isFlexible,
      isFlexible,
    )
    .flat();
}

function parsePartition(topic: string, reader: Reader, isFlexible: boolean): PartitionAnswer {
  const index = reader.readInt32();
  const errorCode = reader.readInt16();
  const highWatermark = reader.readInt64();
  const lastStableOffset = reader.readInt64();
  reader.readInt64(); // The first offset of the log.
  const abortedTransactions = reader.readArray(
    (inAborted) => ({ producerId: inAborted.readInt64(), firstOffset: inAborted.readInt64() }),
    isFlexible,
    isFlexible,
  );
  const preferredReplica = reader.readInt32();
  const records = reader.readNullableBytes(isFlexible);
  return { topic, index, errorCode, highWatermark, lastStableOffset, abortedTransactions, preferredReplica, records };
}

function tooOld(version: number | undefined): EventDriverError {
  return new EventDriverError("ERR_UNSUPPORTED", {
    message: `the Kafka broker speaks version ${version ?? "none"} of fetch, and ${apis.at(-1)?.version} is the oldest that is spoken here; update the cluster to Kafka 2.3 or newer`,
    retryable: false,
  });
}
