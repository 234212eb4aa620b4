import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { onTestFinished } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";

export interface FakePulsarOptions {
  /** Called for each text of a socket. */
  readonly onText?: (text: string, socket: WebSocket) => void;
  /** The status that an attempt is refused with; `undefined` lets it in. */
  readonly refuse?: (request: IncomingMessage) => number | undefined;
  /** @default true */
  readonly answersPings?: boolean;
}

/** A server with Pulsar's WebSocket API and no broker behind it, for faults that a real one shows too seldom. */
export interface FakePulsar {
  readonly url: string;
  /** Every attempt to open a socket. */
  readonly requests: readonly IncomingMessage[];
  /** Those that are open. */
  readonly sockets: ReadonlySet<WebSocket>;
}

export async function fakePulsar({ onText, refuse, answersPings = true }: FakePulsarOptions = {}): Promise<FakePulsar> {
  const requests: IncomingMessage[] = [];
  const webSockets = new WebSocketServer({ noServer: true, autoPong: answersPings });
  const server = createServer((_request, response) => response.writeHead(405).end());
  server.on("upgrade", (request, socket, head) => {
    requests.push(request);
    // Whoever is refused may be gone before the refusal has arrived.
    socket.on("error", () => {});
    const status = refuse?.(request);
    if (status !== undefined) return void socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 7\r\n\r\nrefused`);
    webSockets.handleUpgrade(request, socket, head, (opened) => {
      opened.on("message", (data) => onText?.(Buffer.isBuffer(data) ? data.toString() : "", opened));
      opened.on("error", () => {});
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of webSockets.clients) socket.terminate();
    server.close();
  });
  const address = server.address();
  return {
    url: `pulsar+ws://127.0.0.1:${typeof address === "object" ? address?.port : ""}`,
    requests,
    sockets: webSockets.clients,
  };
}
