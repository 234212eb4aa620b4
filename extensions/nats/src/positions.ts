import type { ConsumerConfig } from "@nats-io/jetstream";
import type { SubscribeRequest } from "event-driver/streams";

import { millis, nanos } from "@nats-io/transport-node";
import { EventDriverError, invalidOption, quote } from "event-driver";
import { partitionOf } from "event-driver/streams";

import { encodeName } from "./names.ts";
import { defaultAckWait, type NatsNative, type NatsPlace, nativeOf } from "./options.ts";

/** Where a stream is at the broker, complete. */
export interface Place {
  /** As the user of the connection calls it. */
  readonly stream: string;
  /** The JetStream stream. */
  readonly name: string;
  readonly subject: string;
  /** How many the stream has, 1 for none: what the options say, and where they do not, what the stream says when it has been looked at. */
  partitions: number | undefined;
  readonly settings: NatsPlace;
}

/** A position, as it is at the broker. */
export interface Position {
  readonly place: Place;
  readonly name: string;
  /** Whether it ends with its last subscription. */
  readonly isTransient: boolean;
  readonly config: Partial<ConsumerConfig>;
}

/** The name of a position, at the broker. */
export function positionName(name: string, partition: number | undefined): string {
  return partition === undefined ? encodeName(name) : `${encodeName(name, 120)}-p${partition}`;
}

/** Where a message of a key is published to. */
export function subjectFor(place: Place, key: string): string {
  const { partitions = 1 } = place;
  return subjectOf(place, partitions > 1 ? partitionOf(key, partitions) : undefined);
}

/** The subject of a partition, or of a stream without any. */
export function subjectOf({ subject }: Place, partition: number | undefined): string {
  return partition === undefined ? subject : `${subject}.${partition}`;
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function positionConfig(
  request: SubscribeRequest<NatsNative>,
  place: Place,
  partition: number | undefined,
): Partial<ConsumerConfig> {
  const name = positionName(request.name, partition);
  const { filterSubjects, inactiveThreshold } = nativeOf(request.native);
  if (partition !== undefined && filterSubjects !== undefined)
    throw invalidOption("subscribe", "native.filterSubjects", filterSubjects, "none where a stream has partitions");
  return {
    name,
    ...(request.durable ? { durable_name: name } : { inactive_threshold: nanos(inactiveThreshold) }),
    ...(filterSubjects === undefined ? { filter_subject: subjectOf(place, partition) } : { filter_subjects: [...filterSubjects] }),
    ...startOf(request.backfill),
    ack_policy: "explicit",
    ack_wait: nanos(request.ackWait ?? defaultAckWait),
    max_deliver: -1,
    // The bound of each subscription is what it asks for. One message at a time is kept by the broker too, whoever asks.
    max_ack_pending: request.exclusive ? 1 : -1,
  };
}

function startOf(backfill: SubscribeRequest<NatsNative>["backfill"]): Partial<ConsumerConfig> {
  if (backfill === true) return { deliver_policy: "all" };
  if (backfill === false) return { deliver_policy: "new" };
  if (backfill instanceof Date) return { deliver_policy: "by_start_time", opt_start_time: backfill.toISOString() };
  return { deliver_policy: "by_start_sequence", opt_start_seq: sequenceOf(backfill.position) };
}

function sequenceOf(position: string): number {
  const sequence = Number(position);
  if (Number.isSafeInteger(sequence) && sequence >= 1) return sequence;
  throw new EventDriverError("ERR_INVALID_OPTION", {
    message: `subscribe: backfill.position is ${quote(position)}, allowed is the position of a delivery, a whole number from 1`,
    retryable: false,
  });
}

/** Why messages would get lost, or out of their order, with a consumer that somebody else has made. */
export function problemOf(config: ConsumerConfig, wanted: Partial<ConsumerConfig>, partition: number | undefined): string | undefined {
  if (config.deliver_subject !== undefined) return "is pushed to, and not pulled";
  if (config.ack_policy !== "explicit") return `has the ack policy ${quote(config.ack_policy)}, and not "explicit"`;
  if ((config.max_deliver ?? -1) > 0)
    return `gives up after ${config.max_deliver} deliveries; let max_deliver be -1, and deadLetter decide`;
  if ((config.ack_wait ?? 0) < (wanted.ack_wait ?? 0))
    return `has an ack wait of ${millis(config.ack_wait ?? 0)} ms, shorter than the timeout that is asked for`;
  if (partition !== undefined && config.filter_subject !== wanted.filter_subject)
    return `does not take the messages of ${quote(wanted.filter_subject ?? "")} alone, which are those of its partition`;
  return undefined;
}
