// A service for the tests that send real signals: it says where it listens, when an event has come, and when its store is closed.
import { closeOnSignals, receiver } from "@event-driver/cloudevents";
import { pipeline } from "event-driver";

const say = (line: string): unknown => process.stdout.write(`${line}\n`);

const orders = pipeline().use(async (_, message) => {
  say(`came ${message.id}`);
  await new Promise((resolve) => process.stdin.once("data", resolve));
});

const listening = await receiver(orders).listen({ port: 0 });
say(`listening ${listening.port}`);
await closeOnSignals(listening, { onClosed: () => say("closed") });
process.stdin.destroy();
