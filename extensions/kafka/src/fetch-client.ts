import { type ClusterMetadata, type ConnectionPool, type Consumer, FetchIsolationLevels, UserError } from "@platformatic/kafka";

import type { KafkaFetchOptions } from "./options.ts";
import type { Partition } from "./partition.ts";

import { type FetchApi, fetchApi, type PartitionAnswer, usesTopicIds } from "./fetch-api.ts";

/** What a request asks of a partition. */
export interface Question {
  readonly partition: Partition;
  /** From here on. */
  readonly offset: bigint;
}

export interface Answered extends Question {
  readonly answer: PartitionAnswer;
}

/** A cluster as it was when it was asked for. */
export interface Cluster {
  /** How many partitions each topic has. */
  readonly partitionCounts: ReadonlyMap<string, number>;
  leaderOf(partition: Partition): number | undefined;
  /**
   * Asks a node for records. It answers at once where there are any, else after `wait` milliseconds.
   *
   * @throws the client's error
   */
  fetch(node: number, questions: readonly Question[], wait: number): Promise<readonly Answered[]>;
}

export interface FetchClient {
  /** @throws EventDriverError `ERR_UNSUPPORTED`; the client's error */
  cluster(): Promise<Cluster>;
  /** Something is no longer as it was: it is asked for anew. */
  forget(): void;
}

export interface FetchClientOptions {
  readonly consumer: Consumer;
  /** Of its own: a broker answers the requests of one connection in turn, and a fetch may wait for long. */
  readonly pool: ConnectionPool;
  readonly topics: readonly string[];
  readonly settings: Pick<Required<KafkaFetchOptions>, "partitionBytes" | "isolation">;
  /** Where we are, so that a replica nearby can be fetched from; empty where that does not matter. */
  readonly rack: string;
}

/** How records are asked for. */
export function fetchClient(options: FetchClientOptions): FetchClient {
  const { consumer, topics } = options;
  let api: FetchApi | undefined;
  return {
    async cluster() {
      const spoken = (api ??= await fetchApi(consumer));
      const metadata = await consumer.metadata({ topics: [...topics] });
      return {
        partitionCounts: new Map(Array.from(metadata.topics, ([topic, { partitionsCount }]) => [topic, partitionsCount])),
        leaderOf: ({ topic, index }) => metadata.topics.get(topic)?.partitions[index]?.leader,
        fetch: (node, questions, wait) => fetch(questions, { node, wait, api: spoken, metadata }, options),
      };
    },
    forget() {
      api = undefined;
      consumer.clearMetadata();
    },
  };
}

interface Place {
  readonly node: number;
  readonly wait: number;
  readonly api: FetchApi;
  readonly metadata: ClusterMetadata;
}

/** A broker keeps nothing of a request for the next one. */
const noSession = { id: 0, epoch: -1 };

async function fetch(
  questions: readonly Question[],
  { node, wait, api, metadata }: Place,
  { pool, settings: { partitionBytes, isolation }, rack }: FetchClientOptions,
): Promise<readonly Answered[]> {
  const broker = metadata.brokers.get(node);
  if (broker === undefined) throw new UserError(`the cluster does not know broker ${node} any more`);
  const topicIn = ({ topic }: Partition): string => (usesTopicIds(api) ? (metadata.topics.get(topic)?.id ?? "") : topic);
  const asked = new Map(questions.map((question) => [`${topicIn(question.partition)}/${question.partition.index}`, question]));
  const answers = await api.async(
    await pool.get(broker),
    wait,
    1,
    partitionBytes * questions.length,
    isolation === "committed" ? FetchIsolationLevels.READ_COMMITTED : FetchIsolationLevels.READ_UNCOMMITTED,
    noSession.id,
    noSession.epoch,
    questions.map(({ partition, offset }) => ({
      topicId: topicIn(partition),
      partitions: [
        {
          partition: partition.index,
          fetchOffset: offset,
          partitionMaxBytes: partitionBytes,
          currentLeaderEpoch: -1,
          lastFetchedEpoch: -1,
        },
      ],
    })),
    [],
    rack,
  );
  return answers.flatMap((answer) => {
    const question = asked.get(`${answer.topic}/${answer.index}`);
    return question === undefined ? [] : [{ ...question, answer }];
  });
}
