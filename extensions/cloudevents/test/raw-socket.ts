import { connect, type Socket } from "node:net";

/** What a server has sent back on one connection, and whether it has closed it. */
export interface RawConnection {
  readonly socket: Socket;
  /** Everything received so far. */
  readonly received: string;
  /** Resolves with everything received, once the server has closed the connection or reset it. */
  readonly closed: Promise<string>;
  /** Resolves as soon as what was received matches. */
  receives(pattern: RegExp): Promise<string>;
}

/** Opens a connection that can say anything, right or wrong. */
export async function openSocket(port: number): Promise<RawConnection> {
  const socket = connect(port, "127.0.0.1");
  let received = "";
  const listeners = new Set<() => void>();
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => {
    received += chunk;
    for (const listener of listeners) listener();
  });
  // A reset is one way in which a server may close a connection.
  socket.on("error", () => socket.destroy());
  const closed = new Promise<string>((resolve) => socket.on("close", () => resolve(received)));
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  return {
    socket,
    get received() {
      return received;
    },
    closed,
    receives: (pattern) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (!pattern.test(received)) return;
          listeners.delete(check);
          resolve(received);
        };
        listeners.add(check);
        void closed.then(() => reject(new Error(`closed before ${String(pattern)} came, after: ${received}`)));
        check();
      }),
  };
}

/** A POST of one event in binary mode as it stands on the wire. */
export function rawPost(body: string, headers: readonly string[] = [`Content-Length: ${Buffer.byteLength(body)}`]): string {
  const event = [
    "ce-specversion: 1.0",
    "ce-id: e-1",
    "ce-source: /shop#event1",
    "ce-type: t",
    "ce-key: order-1",
    "Content-Type: application/json",
  ];
  return ["POST / HTTP/1.1", "Host: receiver.test", ...event, ...headers, "", body].join("\r\n");
}
