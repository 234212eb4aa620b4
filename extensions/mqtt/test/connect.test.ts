import { mqttConnection } from "@event-driver/mqtt";
import { createServer, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";

test("a broker that does not listen is an error that names it, and says nothing of users", async () => {
  const failure = await mqttConnection({ url: "mqtt://user:secret@127.0.0.1:9", connectTimeout: 300 }).catch((error: unknown) => error);

  expect(failure).toMatchObject({
    code: "ERR_CONNECTION_FAILED",
    retryable: true,
    message: "mqtt at mqtt://127.0.0.1:9 has not answered within 300 ms",
    cause: { code: "ECONNREFUSED" },
  });
});

test("a broker that accepts and says nothing is given up in time", async () => {
  const url = await brokerThat(() => {});

  await expect(mqttConnection({ url, connectTimeout: 200 })).rejects.toMatchObject({ code: "ERR_CONNECTION_FAILED", retryable: true });
});

test("one of several servers is enough", async () => {
  const url = await brokerThat((socket) => socket.write(connack(0)));

  const connection = await mqttConnection({ url: ["mqtt://127.0.0.1:9", url], connectTimeout: 10_000 });
  await connection.close({ limit: 0 });

  expect(connection.status().state).toBe("closed");
});

test("a broker that refuses the credentials is a final error", async () => {
  const url = await brokerThat((socket) => socket.write(connack(0x86)));

  await expect(mqttConnection({ url })).rejects.toMatchObject({
    code: "ERR_CONNECTION_FAILED",
    retryable: false,
    message: expect.stringContaining("reason code 134"),
  });
});

test("a broker that is busy is asked again until the time is over", async () => {
  let asked = 0;
  const url = await brokerThat((socket) => {
    asked += 1;
    socket.end(connack(asked < 3 ? 0x89 : 0));
    if (asked === 3) socket.write(connack(0));
  });

  await mqttConnection({ url, connectTimeout: 300 }).catch(() => {});

  expect(asked).toBeGreaterThan(1);
});

test.each([
  ["the answer of MQTT 3.1.1", Buffer.from([0x20, 2, 0, 1])],
  ["the answer of MQTT 5", Buffer.from([0x20, 3, 0, 0x84, 0])],
])("a broker that speaks no MQTT 5 is refused by that reason: %s", async (_which, answer) => {
  const url = await brokerThat((socket) => socket.write(answer));

  await expect(mqttConnection({ url })).rejects.toMatchObject({
    code: "ERR_CONNECTION_FAILED",
    retryable: false,
    message: expect.stringContaining("speaks no MQTT 5"),
  });
});

test("a broker that grants less quality than asked for is refused", async () => {
  const maximumQoS = [0x24, 1];
  const url = await brokerThat((socket) =>
    socket.write(Buffer.from([0x20, 3 + maximumQoS.length, 0, 0, maximumQoS.length, ...maximumQoS])),
  );

  await expect(mqttConnection({ url, qos: 2 })).rejects.toMatchObject({ code: "ERR_UNSUPPORTED", retryable: false });
});

function connack(reasonCode: number): Buffer {
  return Buffer.from([0x20, 3, 0, reasonCode, 0]);
}

/** A server that does this when a client has said hello; its URL. */
async function brokerThat(answer: (socket: Socket) => unknown): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", () => answer(socket));
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? `mqtt://127.0.0.1:${address.port}` : "";
}
