// Claims as many orders as it can, and counts up a shared counter, side by side with other processes on the same file. Prints what it did as JSON.
import { createMessage, isRevisionConflict } from "event-driver";
import { sqliteEventStore } from "@event-driver/sqlite";

const [file = "", name = "", orders = "0", increments = "0"] = process.argv.slice(2);
const store = sqliteEventStore({ file, busyTimeout: 60_000 });
const won: string[] = [];
const revisions: string[] = [];

await Promise.all([...Array.from({ length: Number(orders) }, (_, index) => claim(`order-${index}`)), countUp(Number(increments))]);
await store.close();
process.stdout.write(JSON.stringify({ won, revisions }));

async function claim(key: string): Promise<void> {
  try {
    revisions.push(await store.persist(createMessage({ id: name, key, source: "claim", content: name }), { expected: "absent" }));
    won.push(key);
  } catch (error) {
    if (!isRevisionConflict(error)) throw error;
  }
}

async function countUp(times: number): Promise<void> {
  for (let done = 0; done < times;) {
    const found = await store.lookUp("counter", "count");
    const content = String(Number(found?.message.content ?? 0) + 1);
    try {
      const message = createMessage({ id: name, key: "counter", source: "count", content });
      revisions.push(await store.persist(message, { expected: found?.revision ?? "absent" }));
      done += 1;
    } catch (error) {
      if (!isRevisionConflict(error)) throw error;
    }
  }
}
