// Claims what it can of many orders and counts up a shared counter, while other processes do the same. Prints what came of it as JSON.
import { createMessage, isRevisionConflict } from "event-driver";
import { gcsEventStore } from "@event-driver/google-cloud/storage";

const [bucket = "", apiEndpoint = "", name = "", orders = "0", increments = "0"] = process.argv.slice(2);
const store = gcsEventStore({ bucket, apiEndpoint });
const won: string[] = [];
const revisions: string[] = [];

await Promise.all([...Array.from({ length: Number(orders) }, (_, index) => claim(`order-${index}`)), countUp(Number(increments))]);
await store.close();
process.stdout.write(JSON.stringify({ won, revisions }));

async function claim(key: string): Promise<void> {
  if (await wins(createMessage({ id: name, key, source: "claim", content: name }), "absent")) won.push(key);
}

async function countUp(times: number): Promise<void> {
  for (let done = 0; done < times;) {
    const found = await store.lookUp("counter", "count");
    const content = String(Number(found?.message.content ?? 0) + 1);
    if (await wins(createMessage({ id: name, key: "counter", source: "count", content }), found?.revision ?? "absent")) done += 1;
  }
}

async function wins(message: ReturnType<typeof createMessage<string>>, expected: string): Promise<boolean> {
  try {
    revisions.push(await store.persist(message, { expected }));
    return true;
  } catch (error) {
    if (isRevisionConflict(error)) return false;
    throw error;
  }
}
