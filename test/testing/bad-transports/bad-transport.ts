import type { Alterations } from "../../streams/memory-handles.ts";

import type { Inbound, SubscribeRequest, Transport } from "../../../src/streams/index.ts";

/** A transport, or the connection over it, with one mistake, and the tests of the kit that must fail because of it. */
export interface BadTransport extends Alterations {
  readonly flaw: string;
  readonly caughtBy: readonly string[];
}

type Alter = (transport: Transport) => Transport;

/** Changes what is delivered. */
export function delivering(change: (inbound: Inbound, request: SubscribeRequest<never>) => Inbound): Alter {
  return (transport) => ({
    ...transport,
    subscribe: (request, sink) =>
      transport.subscribe(request, {
        deliver: (inbound) => sink.deliver(change(inbound, request)),
        lost: (error) => sink.lost(error),
      }),
  });
}

/** Changes what is asked for. */
export function asking(change: (request: SubscribeRequest<never>) => Partial<SubscribeRequest<never>>): Alter {
  return (transport) => ({
    ...transport,
    subscribe: (request, sink) => transport.subscribe({ ...request, ...change(request) }, sink),
  });
}

/** Changes what is published. */
export function publishing(
  change: Transport["publish"] extends (...given: infer Given) => Promise<void> ? (...given: Given) => Given : never,
): Alter {
  return (transport) => ({ ...transport, publish: (...given) => transport.publish(...change(...given)) });
}
