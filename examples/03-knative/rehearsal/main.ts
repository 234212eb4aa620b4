// The deployment without a cluster: what the image installs and runs, with the variables of the manifest, and what Knative would send it. Only the
// store is another one, a file.
import { knativeFailure, receiver } from "@event-driver/cloudevents";
import { pipeline } from "event-driver";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";

import { startSink } from "../../01-orders/demo/sink.ts";
import { asDeadLetter, byTrigger, deliver, kafkaEvent, pingEvent } from "./events.ts";
import { buildImage, type Image } from "./image.ts";
import { startService } from "./service.ts";

interface ServiceManifest {
  readonly spec: { readonly template: { readonly spec: { readonly containers: readonly Container[] } } };
}

interface Container {
  readonly env: readonly { readonly name: string; readonly value: string }[];
}

const example = join(import.meta.dirname, "..");
const folder = await mkdtemp(join(tmpdir(), "orders-"));

// A dead letter may have no key; its own id does for one.
const deadLetters = await receiver(
  pipeline().use(async (_ctx, message) => {
    const { code, data = "" } = knativeFailure(message) ?? {};
    console.log(`  dead letter ${message.id} from ${message.source}: ${code}, ${JSON.parse(data).code}`);
  }),
  { keyFrom: ["key", "partitionkey", "subject", "id"] },
).listen({ port: 0 });

const broker = await startSink();
const here = { HOST: "127.0.0.1", PORT: "0", STORE: `sqlite:${folder}/orders.db`, K_SINK: broker.url };
const service = await startService(await image(), { ...(await variables()), ...here });
console.log(`The service listens on ${service.url}.`);

const records = [
  kafkaEvent({ topic: "event2", offset: 7, key: "order-1", value: '{"customer":"customer-1"}' }),
  kafkaEvent({ topic: "event1", offset: 3, key: "order-1", value: '{"note":"erased"}' }),
  kafkaEvent({ topic: "event3", offset: 5, key: "order-1", value: '{"total":12.50}' }),
];

console.log("\nA KafkaSource sends three records of one order, and the last one again:");
for (const record of [...records, ...records.slice(-1)]) {
  console.log(`  ${record.headers["ce-source"]?.split("#").at(-1)}: ${(await deliver(service.url, record)).status}`);
}
for (const contents of broker.accepted.values()) console.log(`  to the broker: ${contents.join(" and again ")}`);

console.log("\nA record without a key can never be joined. Its source does not send it again, but to the dead letter sink:");
const keyless = kafkaEvent({ topic: "event1", offset: 4, value: "{}" });
const { status, answer } = await deliver(service.url, keyless);
await deliver(deadLetters.url, asDeadLetter(keyless, service.url, status, answer));

console.log("\nA trigger delivers an event of the broker, and a PingSource asks for a sweep:");
const event = kafkaEvent({ topic: "event1", offset: 9, key: "order-2", value: "{}" });
console.log(`  ${(await deliver(service.url, byTrigger(event))).status}, ${(await deliver(service.url, pingEvent())).status}`);

console.log(`\nAsked to end, the service exits with code ${await service.stop()}.`);
await deadLetters.close();
await broker.close();
await rm(folder, { recursive: true });

/** With the packages as they are built, the image's files; with their sources, the service where it stands. */
async function image(): Promise<Image> {
  if (!process.execArgv.includes("@event-driver/source")) return buildImage(join(example, "Dockerfile"), folder);
  const orders = join(example, "../01-orders");
  return { folder: orders, command: ["node", ...process.execArgv, "server.ts"], environment: {} };
}

/** What the manifest sets. */
async function variables(): Promise<Readonly<Record<string, string>>> {
  const service: ServiceManifest = parse(await readFile(join(example, "manifests/service.yaml"), "utf8"));
  return Object.fromEntries(service.spec.template.spec.containers.flatMap(({ env }) => env.map(({ name, value }) => [name, value])));
}
