import type { ConnectionFeatures } from "../connection.ts";
import type { Transport, TransportSubscription } from "../transport.ts";
import type { MemoryStreams } from "./memory-broker.ts";
import type { Member, MemoryGroup } from "./memory-group.ts";

import { EventDriverError, quote } from "../../errors.ts";

const memoryFeatures: ConnectionFeatures = {
  durable: true,
  transient: true,
  backfill: ["all", "time", "position"],
  reset: true,
  serial: true,
  keyOrder: "group",
  ackWait: "extended",
  delay: true,
  attempts: true,
  expiry: true,
};

/** One connection to a broker in memory. Closing it is what a broker sees of a process that dies, too. */
export function memoryTransport(broker: MemoryStreams): Transport {
  const memberships = new Map<Member, MemoryGroup>();
  let isClosed = false;

  const leave = (member: Member, group: MemoryGroup, forget: boolean): void => {
    memberships.delete(member);
    group.leave(member, { forget });
  };

  return {
    name: "memory",
    features: memoryFeatures,
    keepsPublishOrder: true,
    async publish(stream, message, { expiresAfter }) {
      if (isClosed) throw closed(`message ${quote(message.id)} was not published`);
      broker.append(stream, message, expiresAfter);
    },
    async subscribe(request, sink) {
      if (isClosed) throw closed(`stream ${quote(request.stream)} was not subscribed to`);
      const group = broker.group(request);
      const member = group.join(request, sink);
      memberships.set(member, group);
      return {
        stop: async () => void (member.isStopped = true),
        close: async () => leave(member, group, false),
        forget: async () => leave(member, group, true),
      } satisfies TransportSubscription;
    },
    async close() {
      isClosed = true;
      for (const [member, group] of memberships) leave(member, group, false);
    },
  };
}

function closed(what: string): EventDriverError {
  return new EventDriverError("ERR_CONNECTION_CLOSED", {
    message: `the connection in memory is closed: ${what}`,
    retryable: true,
  });
}
