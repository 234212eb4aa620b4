import { rabbitmqConnection } from "@event-driver/rabbitmq";
import { createMessage } from "event-driver";

/** Uses all that could hold a process open, and closes it. */
const [url = "", stream = ""] = process.argv.slice(2);
const connection = await rabbitmqConnection({ url, queueArguments: { "x-expires": 600_000 } });

await connection.subscribe(stream, async () => {});
await connection.subscribe(stream, async () => {}, { name: "alone", serial: true });
await connection.publish(stream, createMessage({ key: "order-1", source: "shop", content: "{}" }));
await connection.close();
process.stdout.write("closed\n");
