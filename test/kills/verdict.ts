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
  /**
   * When the broker that the events come from was away: from its kill until it was back.
   * @default never
   */
  readonly outages?: readonly Outage[];
}

export interface Outage {
  readonly from: number;
  readonly to: number;
}

/**
 * The orders that came twice without a reason. A reason is that whoever brought it first was killed before it came again, or lost the broker
 * and with it the event that it was working on; and that it had not been recorded: once recorded, some sender may have been told so.
 */
export function unexplained(
  orders: readonly Pick<SampleOrder, "key">[],
  { sink, killedAt, doneAt, outages = [] }: Witnesses,
): readonly string[] {
  return orders.flatMap(({ key }) => {
    const accepted = sink.accepted(key);
    return accepted.slice(1).flatMap(({ acceptedAt = 0 }, index) => {
      const { from = "", acceptedAt: before = 0 } = accepted[index] ?? {};
      const wasKilled = (killedAt.get(from) ?? Infinity) < acceptedAt;
      const wasCutOff = outages.some((outage) => before < outage.to && outage.from < acceptedAt);
      const wasRecorded = (doneAt.get(key) ?? Infinity) < acceptedAt;
      const isExplained = (wasKilled || wasCutOff) && !wasRecorded;
      return isExplained ? [] : [`${key}: killed ${wasKilled}, cut off ${wasCutOff}, recorded ${wasRecorded}`];
    });
  });
}
