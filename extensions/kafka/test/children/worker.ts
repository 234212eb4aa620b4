import { kafkaConnection, transactionOf } from "@event-driver/kafka";
import { createMessage, pipeline } from "event-driver";
import { setTimeout } from "node:timers/promises";

/** Works on a stream, says the id of each message, and ends by itself or is killed, as its task says. */
const [task = "", url = "", stream = "", target = ""] = process.argv.slice(2);

const connection = await kafkaConnection({ url, group: { sessionTimeout: 6_000, heartbeatInterval: 200, commitInterval: 60_000 } });
const { promise: closed, resolve } = Promise.withResolvers<void>();

if (task === "invoices") {
  const invoicing = pipeline()
    .use(connection.transactional())
    .use(async (ctx, { id, key }) => {
      transactionOf(ctx).publish(target, createMessage({ id: `invoice ${id}`, key, source: "billing", content: "{}" }));
      process.stdout.write(`${id}\n`);
    });
  await connection.subscribe(stream, invoicing, { native: { transactional: true }, maxInFlight: 20 });
} else {
  await connection.subscribe(stream, async (_ctx, { id }) => {
    process.stdout.write(`${id}\n`);
    if (task === "closes under load" && id === "10") void connection.close().then(resolve);
    await setTimeout(5);
    process.stdout.write(`done ${id}\n`);
  });
}
process.stdout.write("ready\n");
await closed;
