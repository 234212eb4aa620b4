import { createServer } from "node:http";

/** Where charged orders arrive: an HTTP server that counts what it accepts. */
export interface Sink {
  readonly url: string;
  /** The contents accepted under each id, in order; more than one where it was sent again. */
  readonly accepted: ReadonlyMap<string, readonly string[]>;
  /** The ids accepted for each order. */
  readonly idsByKey: ReadonlyMap<string, ReadonlySet<string>>;
  close(): Promise<void>;
}

/** Starts a sink on a free port. */
export async function startSink(): Promise<Sink> {
  const accepted = new Map<string, string[]>();
  const idsByKey = new Map<string, Set<string>>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { "ce-id": id = "", "ce-key": key = "" } = request.headers;
      accepted.set(String(id), [...(accepted.get(String(id)) ?? []), Buffer.concat(chunks).toString()]);
      idsByKey.set(String(key), (idsByKey.get(String(key)) ?? new Set()).add(String(id)));
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the sink has no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    accepted,
    idsByKey,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
