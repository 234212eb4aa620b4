import { invalidOption } from "event-driver";

/** A place in a partition. The time is what says where the other partitions were then. */
export interface LogPosition {
  readonly partition: number;
  readonly offset: bigint;
  /** Epoch milliseconds. */
  readonly timestamp: number;
}

/** @example showPosition({ partition: 3, offset: 42n, timestamp: 1767225600000 }); // "3:42@1767225600000" */
export function showPosition({ partition, offset, timestamp }: LogPosition): string {
  return `${partition}:${offset}@${timestamp}`;
}

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function parsePosition(text: string): LogPosition {
  const { partition, offset, timestamp } = /^(?<partition>\d{1,10}):(?<offset>\d{1,19})@(?<timestamp>-?\d{1,16})$/.exec(text)?.groups ?? {};
  if (partition === undefined || offset === undefined || timestamp === undefined)
    throw invalidOption(
      "subscribe",
      "backfill.position",
      text,
      "what a delivery of this stream gave as its position: partition:offset@time",
    );
  return { partition: Number(partition), offset: BigInt(offset), timestamp: Number(timestamp) };
}
