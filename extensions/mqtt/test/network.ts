import { randomUUID } from "node:crypto";

import { services } from "../../../test/services.ts";

/** A way to a server that can be cut, and lost for good. */
export interface Network {
  /** The same URL through it. */
  readonly url: string;
  /** Cuts what is connected, and refuses what comes, until `mend`. */
  cut(): Promise<void>;
  mend(): Promise<void>;
  /** Ends it for good, as a process that is killed ends its connections. */
  remove(): Promise<void>;
}

/** A network of its own before a server, by toxiproxy. */
export async function networkBefore(url: string): Promise<Network> {
  const target = new URL(url);
  const name = `mqtt-${randomUUID()}`;
  const { listen } = await ask("POST", "/proxies", { name, listen: "127.0.0.1:0", upstream: target.host, enabled: true });
  target.host = String(listen);
  const setEnabled = async (enabled: boolean): Promise<void> => void (await ask("POST", `/proxies/${name}`, { enabled }));
  return {
    url: target.href,
    cut: () => setEnabled(false),
    mend: () => setEnabled(true),
    remove: async () => void (await ask("DELETE", `/proxies/${name}`)),
  };
}

async function ask(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const response = await fetch(`${services.toxiproxy.url}${path}`, { method, ...(body !== undefined && { body: JSON.stringify(body) }) });
  const text = await response.text();
  if (!response.ok && response.status !== 404) throw new Error(`toxiproxy answered ${method} ${path} with ${response.status}: ${text}`);
  return text === "" ? {} : JSON.parse(text);
}
