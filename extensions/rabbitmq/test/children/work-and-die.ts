import { rabbitmqConnection } from "@event-driver/rabbitmq";

/** Handles one message and ends its process before that can be acknowledged. */
const [url = "", stream = ""] = process.argv.slice(2);
const connection = await rabbitmqConnection({ url, queueArguments: { "x-expires": 600_000 } });

await connection.subscribe(stream, async (_ctx, { id }) => {
  process.stdout.write(`${id}\n`, () => process.kill(process.pid, "SIGKILL"));
});
