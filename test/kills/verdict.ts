import type { SampleOrder } from "./order-events.ts";
import type { Arrival, OrderSink } from "./order-sink.ts";

/** What is wrong with what the sink has accepted of an order: it never came, or not each time with the same id, time and data as it was written. */
export function changed({ key, composed, time }: SampleOrder, accepted: readonly Arrival[]): readonly string[] {
  const expected = { "ce-type": "composed-event", "ce-key": key, "ce-time": time, "content-type": "application/json" };
  const ids = new Set(accepted.map(({ id }) => id));
  return [
    ...(accepted.length === 0 ? [`${key} never came`] : []),
    ...(ids.size > 1 ? [`${key} came under ${ids.size} ids`] : []),
    ...accepted.flatMap(({ from, body, headers }) => [
      ...(body === composed ? [] : [`${key} came from ${from} with other data`]),
      ...Object.entries(expected).flatMap(([name, value]) =>
        headers[name] === value ? [] : [`${key} came from ${from} with ${name} ${String(headers[name])}`],
      ),
    ]),
  ];
}

/** What is known beside what has come. */
export interface Witnesses {
  readonly sink: OrderSink;
  /** When each process was killed. */
  readonly killedAt: ReadonlyMap<string, number>;
  /** When a sender was first told that an order is done. */
  readonly doneAt: ReadonlyMap<string, number>;
}

/**
 * The orders that came twice without a reason. A reason is that whoever brought it first was killed before it came again, and had not recorded
 * it: once recorded, some sender may have been told so.
 */
export function unexplained(orders: readonly Pick<SampleOrder, "key">[], { sink, killedAt, doneAt }: Witnesses): readonly string[] {
  return orders.flatMap(({ key }) => {
    const accepted = sink.accepted(key);
    return accepted.slice(1).flatMap(({ acceptedAt = 0 }, index) => {
      const wasKilled = (killedAt.get(accepted[index]?.from ?? "") ?? Infinity) < acceptedAt;
      const wasRecorded = (doneAt.get(key) ?? Infinity) < acceptedAt;
      return wasKilled && !wasRecorded ? [] : [`${key}: killed ${wasKilled}, recorded ${wasRecorded}`];
    });
  });
}
