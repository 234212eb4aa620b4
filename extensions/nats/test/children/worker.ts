import { setTimeout } from "node:timers/promises";

import { natsConnection } from "@event-driver/nats";

/** Works on a stream, says the id of each message that it begins, and does as its task says. */
const [task = "", url = "", stream = ""] = process.argv.slice(2);

const connection = await natsConnection({ url });
const { promise: closed, resolve } = Promise.withResolvers<void>();

await connection.subscribe(
  stream,
  async (_ctx, message) => {
    process.stdout.write(`${message.id}\n`);
    if (task === "never finishes") await new Promise(() => {});
    if (task === "closes under load") {
      void connection.close().then(resolve);
      await setTimeout(20);
    }
    process.stdout.write(`done ${message.id}\n`);
  },
  { timeout: 1_000, concurrency: 4 },
);
process.stdout.write("ready\n");
await closed;
