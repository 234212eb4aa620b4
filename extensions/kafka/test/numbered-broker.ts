import { NetworkError, ProtocolError } from "@platformatic/kafka";

import type { ProducerIdentity } from "../src/batch-encoder.ts";
import type { PartitionBatch } from "../src/produce-api.ts";
import type { ProduceClient } from "../src/produce-client.ts";

/**
 * What becomes of a batch:
 *
 * - `busy`: it is not written, and the broker says that it may be tried again
 * - `unheard`: it is not written, and nobody says so
 * - `unanswered`: it is written, and nobody says so
 * - `unknown`: it is not written, as the broker does not know who sends it
 * - `tooLarge`: it is refused
 */
export type Fate = "written" | "busy" | "unheard" | "unanswered" | "unknown" | "tooLarge";

export interface NumberedBrokerOptions {
  readonly partitionCount?: number;
  /** Of one batch after the other. */
  readonly fates?: readonly Fate[];
  /** How many turns one answer after the other takes. */
  readonly turns?: readonly number[];
  /** Whether answers wait for {@link NumberedBroker.answer}. */
  readonly hold?: boolean;
}

/** How many batches of a producer a broker can tell from new ones: Kafka five, and two are what we ask for. */
const remembered = 2;

interface Known {
  readonly last: readonly PartitionBatch[];
  readonly next: number;
}

/** A broker that numbers the records of each producer as Kafka does: it takes what follows on what it has, and anything of someone that it does not know. */
export class NumberedBroker implements ProduceClient {
  /** What each partition holds. */
  readonly logs: Map<number, string[]> = new Map();
  /** What each request brought. */
  readonly requests: (readonly string[])[] = [];
  readonly #options: Required<NumberedBrokerOptions>;
  readonly #fates: Fate[];
  readonly #turns: number[];
  readonly #known = new Map<string, Known>();
  readonly #held: (() => void)[] = [];
  #identities = 0n;

  constructor({ partitionCount = 1, fates = [], turns = [], hold = false }: NumberedBrokerOptions = {}) {
    this.#options = { partitionCount, fates, turns, hold };
    this.#fates = [...fates];
    this.#turns = [...turns];
  }

  /** How many were given out. */
  get identities(): number {
    return Number(this.#identities);
  }

  /** Answers the oldest request that waits. */
  answer(): void {
    this.#held.shift()?.();
  }

  async newIdentity(): Promise<ProducerIdentity> {
    this.#identities += 1n;
    return { producerId: this.#identities, producerEpoch: 0 };
  }

  async leaders(): ReturnType<ProduceClient["leaders"]> {
    return { partitionCount: this.#options.partitionCount, leaderOf: (partition) => partition % 2 };
  }

  async produce(_node: number | undefined, _topic: string, batches: readonly PartitionBatch[]): Promise<ReadonlyMap<number, unknown>> {
    this.requests.push(batches.flatMap(textsOf));
    const failures = new Map(batches.map((batch) => [batch.partition, this.#receive(batch)]));
    if (this.#options.hold) await new Promise<void>((resolve) => this.#held.push(resolve));
    for (let left = this.#turns.shift() ?? 0; left > 0; left -= 1) await Promise.resolve();
    return new Map([...failures].filter(([, failure]) => failure !== undefined));
  }

  #receive(batch: PartitionBatch): unknown {
    const fate = this.#fates.shift() ?? "written";
    if (fate === "busy") return new ProtocolError("NOT_ENOUGH_REPLICAS");
    if (fate === "unknown") return new ProtocolError("UNKNOWN_PRODUCER_ID");
    if (fate === "tooLarge") return new ProtocolError("MESSAGE_TOO_LARGE");
    if (fate === "unheard") return new NetworkError("cut");
    const failure = this.#append(batch);
    return fate === "unanswered" ? new NetworkError("cut") : failure;
  }

  #append(batch: PartitionBatch): unknown {
    const { partition, identity, firstSequence, records } = batch;
    const name = `${partition}/${identity.producerId}`;
    const known = this.#known.get(name) ?? { last: [], next: firstSequence };
    const isThere = known.last.some((each) => each.firstSequence === firstSequence && each.records.length === records.length);
    if (isThere) return undefined;
    if (firstSequence !== known.next) return new ProtocolError("OUT_OF_ORDER_SEQUENCE_NUMBER");
    this.#known.set(name, { last: [...known.last, batch].slice(-remembered), next: firstSequence + records.length });
    this.logs.set(partition, [...(this.logs.get(partition) ?? []), ...textsOf(batch)]);
    return undefined;
  }
}

function textsOf({ records }: PartitionBatch): readonly string[] {
  return records.map(({ record }) => String(record.value));
}
