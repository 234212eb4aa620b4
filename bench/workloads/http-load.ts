import { Agent, request } from "node:http";

/** One request as it is sent again and again. */
export interface Shot {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Sends so many requests over a few connections that stay open, one at a time on each. */
export async function fire(port: number, shot: Shot, requests: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  let left = requests;
  const shoot = async (): Promise<void> => {
    for (; left > 0; left -= 1) await send(agent, port, shot);
  };
  await Promise.all(Array.from({ length: connections }, shoot));
  agent.destroy();
}

const connections = 8;

function send(agent: Agent, port: number, { headers, body }: Shot): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const sent = request({ agent, host: "127.0.0.1", port, method: "POST", headers: { ...headers, "content-length": body.length } });
  sent.on("error", reject);
  sent.on("response", (response) => {
    const { statusCode = 0 } = response;
    response.on("error", reject);
    response.on("end", () =>
      statusCode < 300 ? resolve() : reject(new Error(`a server answered ${statusCode}; every event must be taken`)),
    );
    response.resume();
  });
  sent.end(body);
  return promise;
}
