import { pulsarConnection } from "@event-driver/pulsar";

// A process of its own, given what it does, an address and a stream. It writes a line for each message that its handler has done with.
const [, , task, url = "", stream = ""] = process.argv;
const connection = await pulsarConnection({ url });

await connection.subscribe(
  stream,
  async (_ctx, { id }) => {
    process.stdout.write(`${id}\n`);
    // The handler has finished, and nobody has been told yet.
    if (task === "die") process.kill(process.pid, "SIGKILL");
  },
  { backfill: true },
);

if (task === "leave") {
  await connection.publish(stream, { id: "last", key: "", source: "worker", content: "", attributes: {} });
  await connection.close();
  process.stdout.write("closed\n");
}
