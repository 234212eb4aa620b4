import { startBank } from "./bank.ts";
import { batch, binary, type Delivery, published, structured, sweep } from "./requests.ts";
import { startInstance } from "./start-instance.ts";

const bank = await startBank();
const instance = await startInstance({ BANK_URL: bank.url });
console.log(`An instance of the function listens on ${instance.url}\n`);

await show("event1 of order-1, in binary mode", binary("order-1", "event1"));
await show("event2 of order-1, in structured mode", structured("order-1", "event2"));
await show("event3 of order-1 and event1 of order-2, in a batch", batch(["order-1", "event3"], ["order-2", "event1"]));
await show("event3 of order-1, once more", binary("order-1", "event3"));
await show("event2 of order-2, through a topic", published("order-2", "event2"));
await show("event3 of order-2, through a topic", published("order-2", "event3"));
await show("event1 of order-3", binary("order-3", "event1"));
await show("event2 of order-3, which is no object", binary("order-3", "event2", '["no object"]'));
await show("event3 of order-3, so that it can never succeed", binary("order-3", "event3"));
await show("a batch that is no JSON", { headers: { "content-type": "application/cloudevents-batch+json" }, body: "no JSON" });
await show("what Cloud Scheduler sends", sweep);

console.log(`\nThe bank was asked ${bank.charges} times. Now it takes its time, and Google ends the instance meanwhile.`);
const asked = bank.pause();
for (const name of ["event1", "event2"]) await send(binary("order-4", name));
const last = send(binary("order-4", "event3"));
await asked;
instance.terminate();
await refusal();
bank.resume();
console.log(`  event3 of order-4, in flight during SIGTERM: ${await last}`);
console.log(`  exit code: ${await instance.exitCode}`);
bank.close();

console.log(`\nWhat the instance logged:\n${instance.logged.map((line) => `  ${line}`).join("\n")}`);

async function show(what: string, delivery: Delivery): Promise<void> {
  console.log(`${String(await send(delivery))}  ${what}`);
}

async function send({ headers, body }: Delivery): Promise<number> {
  const response = await fetch(instance.url, { method: "POST", headers, body });
  await response.arrayBuffer();
  return response.status;
}

/** Resolves when the instance takes no more connections, which shows that it has got its signal. */
async function refusal(): Promise<void> {
  for (;;) {
    const accepted = await fetch(instance.url, { method: "OPTIONS", headers: { connection: "close" } }).then(
      () => true,
      () => false,
    );
    if (!accepted) return;
  }
}
