// Subscribes to a stream and sends what its handler is given. With "hang" the handler never ends, with "die" the process ends itself by SIGKILL after its
// fifth handler, before anything can be acknowledged. "stop" from outside closes the connection, and the process has to end by itself.
import { mqttConnection } from "@event-driver/mqtt";

const [url = "", stream = "", mode = ""] = process.argv.slice(2);
const connection = await mqttConnection({ url, takeOverAfter: 200, sessionExpiry: 60_000 });
let handled = 0;

await connection.subscribe(stream, async (_ctx, message) => {
  handled += 1;
  process.send?.(message.id);
  if (mode === "hang") await new Promise(() => {});
  if (mode === "die" && handled === 5) process.kill(process.pid, "SIGKILL");
});
process.send?.("subscribed");

if (mode === "close") {
  await connection.publish(stream, { id: "last", key: "order-1", source: "child", content: "{}", attributes: {} });
  await connection.close();
  process.disconnect();
}
