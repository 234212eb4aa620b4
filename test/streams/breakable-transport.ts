import type { Handover, Inbound, Sink, Transport, TransportListener } from "../../src/streams/index.ts";

/** A transport whose broker can be taken out of reach. */
export interface BreakableTransport extends Transport {
  /** Until what it gives is called: what is published waits, what was handed over is lost, and nothing comes. */
  readonly break: () => () => void;
}

/** Memory has no wire that could be cut, so this stands between the two and does what a client does whose connection is gone. */
export function breakable(transport: Transport): BreakableTransport {
  const listeners: TransportListener[] = [];
  const outages = new Set<{ begin(): void; end(): void }>();
  let isAway = false;
  let whenBack: (() => void)[] = [];

  const reachable = (signal: AbortSignal | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      if (!isAway) return resolve();
      whenBack.push(resolve);
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });

  return {
    ...transport,
    observe: (listener) => void listeners.push(listener),
    async publish(stream, message, options) {
      await reachable(options.signal);
      await transport.publish(stream, message, options);
    },
    async subscribe(request, sink) {
      const link = new Link(sink);
      outages.add(link);
      const subscription = await transport.subscribe(request, link);
      const leaving = (leave: () => Promise<void>) => (): Promise<void> => {
        outages.delete(link);
        return leave();
      };
      return { ...subscription, close: leaving(() => subscription.close()), forget: leaving(() => subscription.forget()) };
    },
    break() {
      isAway = true;
      for (const outage of outages) outage.begin();
      for (const { state } of listeners) state({ state: "reconnecting" });
      return () => {
        isAway = false;
        for (const resolve of whenBack.splice(0)) resolve();
        whenBack = [];
        for (const outage of outages) outage.end();
        for (const { state } of listeners) state({ state: "connected" });
      };
    },
  };
}

/** What a subscription sees of an outage. */
class Link implements Sink {
  readonly #sink: Sink;
  readonly #unsettled = new Map<Inbound, Hold>();
  #isAway = false;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  deliver(inbound: Inbound): Handover {
    const hold: Hold = { isLost: false, handover: undefined };
    this.#unsettled.set(inbound, hold);
    if (!this.#isAway) this.#handOver(inbound, hold);
    return {
      revoke: (reason) => {
        this.#unsettled.delete(inbound);
        hold.handover?.revoke(reason);
      },
    };
  }

  lost(error: unknown): void {
    this.#sink.lost(error);
  }

  begin(): void {
    this.#isAway = true;
    for (const hold of this.#unsettled.values()) {
      hold.isLost = true;
      hold.handover?.revoke(new Error("the connection is gone"));
    }
  }

  end(): void {
    this.#isAway = false;
    for (const inbound of this.#unsettled.keys()) {
      const hold: Hold = { isLost: false, handover: undefined };
      this.#unsettled.set(inbound, hold);
      this.#handOver(inbound, hold);
    }
  }

  #handOver(inbound: Inbound, hold: Hold): void {
    const settling =
      <Given extends readonly unknown[]>(settle: (...given: Given) => Promise<void>) =>
      async (...given: Given): Promise<void> => {
        if (hold.isLost) return;
        this.#unsettled.delete(inbound);
        await settle(...given);
      };
    hold.handover = this.#sink.deliver({
      ...inbound,
      ack: settling(() => inbound.ack()),
      release: settling((options: { readonly delay: number }) => inbound.release(options)),
    });
  }
}

/** One handing over of a delivery. */
interface Hold {
  isLost: boolean;
  handover: Handover | undefined;
}
