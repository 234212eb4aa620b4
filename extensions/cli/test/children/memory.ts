import { createMessage, TerminalError } from "event-driver";
import { type Connection, memoryConnection } from "event-driver/streams";

const ran: string[] = [];

/** Ids of what has run after it was requeued. */
export function ranInMemory(): readonly string[] {
  return ran;
}

/** A broker in the memory of the program that is tested, with dead letters in it. */
export async function connection(): Promise<Connection> {
  const memory = memoryConnection();
  await memory.subscribe(
    "orders",
    async (ctx, { id }) => {
      if (ctx.attempt === 1) throw new TerminalError("refused: 4711");
      ran.push(id);
    },
    { deadLetter: "orders-failed" },
  );
  const { promise, resolve } = Promise.withResolvers<void>();
  let failures = 0;
  memory.on("failure", () => {
    failures += 1;
    if (failures === 2) resolve();
  });
  for (let number = 1; number <= 2; number += 1)
    await memory.publish("orders", createMessage({ id: `o-${number}`, key: `k-${number}`, source: "shop", content: "card 4711" }));
  await promise;
  return memory;
}
