import { randomUUID } from "node:crypto";

import { services } from "./services.ts";

/** A way to a server that a test can break, by a proxy of toxiproxy. */
export interface ToxicProxy {
  /** The server's own URL, but over this way. */
  readonly url: string;
  /** `host:port`. */
  readonly host: string;
  /** Breaks every connection and takes no new one. */
  cut(): Promise<void>;
  /** From now on nothing comes through either way, and no connection breaks. */
  freeze(): Promise<void>;
  /** From now on what is asked is done, and connections break at the first byte of an answer. */
  cutAnswers(): Promise<void>;
  /** Ends all of these. */
  mend(): Promise<void>;
  /** Ends it for good, and with it every connection, as those of a process end that is killed. Idempotent. */
  remove(): Promise<void>;
}

/** Opens a way to a server, on a port that toxiproxy chooses. Whoever opens it removes it. */
export async function toxicProxy(upstream: string): Promise<ToxicProxy> {
  const name = randomUUID();
  const target = new URL(upstream);
  const host = await ask("POST", "/proxies", { name, listen: "127.0.0.1:0", upstream: target.host, enabled: true });
  const toxics = new Set<string>();
  const enable = async (enabled: boolean): Promise<void> => void (await ask("POST", `/proxies/${name}`, { enabled }));
  const add = async (type: string, stream: string, attributes: object): Promise<void> => {
    const toxic = `${type}-${stream}`;
    toxics.add(toxic);
    await ask("POST", `/proxies/${name}/toxics`, { name: toxic, type, stream, toxicity: 1, attributes });
  };

  return {
    url: upstream.replace(target.host, host),
    host,
    cut: () => enable(false),
    async freeze() {
      for (const stream of ["upstream", "downstream"]) await add("timeout", stream, { timeout: 0 });
    },
    cutAnswers: () => add("limit_data", "downstream", { bytes: 0 }),
    async mend() {
      for (const toxic of toxics) await ask("DELETE", `/proxies/${name}/toxics/${toxic}`);
      toxics.clear();
      await enable(true);
    },
    remove: async () => void (await ask("DELETE", `/proxies/${name}`)),
  };
}

/** Resolves to where the proxy listens, where the answer says so. What is to be removed may have gone. */
async function ask(method: string, path: string, body?: object): Promise<string> {
  const response = await fetch(services.toxiproxy.url + path, { method, ...(body !== undefined && { body: JSON.stringify(body) }) });
  const text = await response.text();
  const isGone = method === "DELETE" && response.status === 404;
  if (!response.ok && !isGone) throw new Error(`toxiproxy answered ${response.status} to ${method} ${path}: ${text}`);
  return /"listen":"([^"]+)"/.exec(text)?.[1] ?? "";
}
