import { randomUUID } from "node:crypto";

import { services } from "../../../test/services.ts";

/** A way to a server that can be cut. */
export interface ProxiedWay {
  /** `host:port`. */
  readonly host: string;
  /** Ends every connection over it and lets nobody in. */
  cut(): Promise<void>;
  mend(): Promise<void>;
  /** Swallows what is sent either way, and closes nothing. */
  freeze(): Promise<void>;
  remove(): Promise<void>;
}

/** A way through toxiproxy, on a port that it chooses. */
export async function proxiedWay(upstream: string): Promise<ProxiedWay> {
  const name = `pulsar-${randomUUID()}`;
  const { listen } = await ask("POST", "/proxies", { name, listen: "127.0.0.1:0", upstream, enabled: true });
  if (listen === undefined) throw new Error("toxiproxy has not said where the proxy listens");
  return {
    host: listen,
    cut: async () => void (await ask("POST", `/proxies/${name}`, { listen, upstream, enabled: false })),
    mend: async () => void (await ask("POST", `/proxies/${name}`, { listen, upstream, enabled: true })),
    async freeze() {
      for (const stream of ["upstream", "downstream"])
        await ask("POST", `/proxies/${name}/toxics`, { name: stream, type: "timeout", stream, attributes: { timeout: 0 } });
    },
    remove: async () => void (await ask("DELETE", `/proxies/${name}`)),
  };
}

async function ask(method: string, path: string, body?: object): Promise<{ readonly listen?: string }> {
  const response = await fetch(services.toxiproxy.url + path, { method, ...(body && { body: JSON.stringify(body) }) });
  if (!response.ok) throw new Error(`toxiproxy has answered ${method} ${path} with ${response.status}: ${await response.text()}`);
  return response.status === 204 ? {} : JSON.parse(await response.text());
}
