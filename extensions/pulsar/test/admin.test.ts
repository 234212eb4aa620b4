import type { Connection } from "event-driver/streams";

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { pulsarConnection, type PulsarConnectionOptions, type PulsarNative } from "@event-driver/pulsar";
import { createMessage, type Logger } from "event-driver";
import { expect, onTestFinished, test } from "vitest";

import { fakePulsar } from "./fake-pulsar.ts";

type Respond = (response: ServerResponse, question: string) => void;

const topics = "/admin/v2/persistent/public/default";
const order = createMessage({ id: "1", key: "order-1", source: "shop", content: "" });

test("a broker that is being started is waited for", async () => {
  const statuses = [503, 500, 404];
  const admin = await fakeAdmin((response) => answer(response, statuses.shift() ?? 404, "Topic not found"));

  await connected(admin);

  expect(admin.questions).toHaveLength(3);
});

test("a token that lets nobody in is said at once, and is not retryable", async () => {
  const admin = await fakeAdmin((response) => answer(response, 401));

  await expect(connected(admin, { token: "secret" })).rejects.toMatchObject({
    code: "ERR_CONNECTION_FAILED",
    retryable: false,
    message: expect.not.stringContaining("secret"),
  });
});

test("the owner of a topic is asked, with the token and the body", async () => {
  const owner = await fakeAdmin((response) => answer(response, 204));
  const admin = await fakeAdmin((response, question) => {
    if (question.startsWith("GET")) return answer(response, 404, "Topic not found");
    response.writeHead(307, { location: `${owner.url}${question.split(" ")[1]}` }).end();
  });
  const connection = await connected(admin, { token: "secret", partitions: 4, retention: 60_000 });

  await connection.publish("orders", order);

  expect(owner.questions).toEqual([
    `PUT ${topics}/orders/partitions Bearer secret 4`,
    `POST ${topics}/orders/retention Bearer secret {"retentionTimeInMinutes":1,"retentionSizeInMB":-1}`,
  ]);
});

test("a server that sends on for ever is not followed for ever", async () => {
  const admin = await fakeAdmin((response, question) => response.writeHead(307, { location: question.split(" ")[1] }).end());

  await expect(connected(admin, { connectTimeout: 100 })).resolves.toBeDefined();
  expect(admin.questions).toHaveLength(6);
});

test("a topic that is there is left as it is", async () => {
  const admin = await fakeAdmin((response, question) =>
    answer(response, question.startsWith("PUT") ? 409 : 404, "This topic already exists"),
  );
  const connection = await connected(admin);

  await connection.publish("orders", order);

  expect(admin.questions.slice(1)).toEqual([`PUT ${topics}/orders  `]);
});

test("a token without the right to one topic may have it to others", async () => {
  const admin = await fakeAdmin((response) => answer(response, 401, "Unauthorized to validateTopicOperation"));

  await expect(connected(admin)).resolves.toBeDefined();
});

test("a token without the right to make topics leaves them to the broker, and says so", async () => {
  const lines: string[] = [];
  const admin = await fakeAdmin((response) => answer(response, 403, "no permission"));
  const connection = await connected(admin, { logger: loggerOf(lines) });

  await expect(connection.publish("orders", order)).resolves.toBe("1");
  expect(lines).toEqual(["the token has no right to make topics; the topic is left to the broker, without its retention"]);
});

test("a topic that cannot be made is an error, and is asked for again with the next message", async () => {
  let isThere = false;
  const admin = await fakeAdmin((response, question) =>
    question.startsWith("PUT") && !isThere ? answer(response, 404, "Namespace not found") : answer(response, 204),
  );
  const connection = await connected(admin);

  await expect(connection.publish("orders", order)).rejects.toMatchObject({
    code: "ERR_TOPOLOGY",
    message: expect.stringContaining("Namespace not found"),
  });
  isThere = true;

  await expect(connection.publish("orders", order)).resolves.toBe("1");
});

test("a broker that keeps no settings of single topics is only a line in the log", async () => {
  const lines: string[] = [];
  const admin = await fakeAdmin((response, question) =>
    answer(response, question.startsWith("POST") ? 405 : 204, "Topic level policies is disabled"),
  );
  const connection = await connected(admin, { logger: loggerOf(lines) });

  await connection.publish("orders", order);

  expect(lines).toEqual(["a topic was made without its retention; set that of the namespace"]);
});

async function connected(
  admin: { readonly url: string },
  options: Partial<PulsarConnectionOptions> = {},
): Promise<Connection<PulsarNative>> {
  const pulsar = await fakePulsar({
    onText: (text, socket) => socket.send(JSON.stringify({ ...JSON.parse(text), result: "ok" })),
  });
  const connection = await pulsarConnection({ url: pulsar.url, adminUrl: admin.url, ...options });
  onTestFinished(() => connection.close({ limit: 0 }));
  return connection;
}

/** A server that takes down what it is asked: the method, the path, the authorization and the body. */
async function fakeAdmin(respond: Respond): Promise<{ readonly url: string; readonly questions: readonly string[] }> {
  const questions: string[] = [];
  const onRequest = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url, headers } = request;
    const question = `${method} ${url} ${headers.authorization ?? ""} ${await bodyOf(request)}`;
    questions.push(question);
    respond(response, question);
  };
  const server = createServer((request, response) => void onRequest(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`, questions };
}

function loggerOf(lines: string[]): Logger {
  const log = (_fields: object, text: string): void => void lines.push(text);
  return { debug: () => {}, info: log, warn: log, error: log };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of request) body += String(chunk);
  return body;
}

function answer(response: ServerResponse, status: number, reason: string = ""): void {
  response.writeHead(status).end(status === 204 ? "" : JSON.stringify({ reason }));
}
