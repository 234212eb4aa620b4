import { onTestFinished } from "vitest";

import { services } from "../../../../../test/services.ts";

/** A proxy of toxiproxy in front of one server, for one test. */
export interface ToxicProxy {
  readonly url: string;
  /** From now on connections break at the first byte that comes back; what was asked is done all the same. */
  cutAnswers(): Promise<void>;
  /** From now on nothing comes through, and no connection breaks. */
  stall(): Promise<void>;
  /** Breaks every connection and takes no new one. */
  goAway(): Promise<void>;
  /** Ends all of these. */
  heal(): Promise<void>;
}

export async function toxicProxy(upstream: string): Promise<ToxicProxy> {
  const name = crypto.randomUUID();
  const listen = await call("POST", "/proxies", { name, listen: "127.0.0.1:0", upstream: new URL(upstream).host, enabled: true });
  onTestFinished(async () => void (await call("DELETE", `/proxies/${name}`)));
  const toxics = new Set<string>();
  const add = async (toxic: string, stream: string, attributes: object): Promise<void> => {
    toxics.add(`${toxic}-${stream}`);
    await call("POST", `/proxies/${name}/toxics`, { name: `${toxic}-${stream}`, type: toxic, stream, toxicity: 1, attributes });
  };

  return {
    url: `http://${listen}`,
    cutAnswers: () => add("limit_data", "downstream", { bytes: 0 }),
    stall: () => add("timeout", "downstream", { timeout: 0 }),
    goAway: async () => void (await call("POST", `/proxies/${name}`, { enabled: false })),
    async heal() {
      for (const toxic of toxics) await call("DELETE", `/proxies/${name}/toxics/${toxic}`);
      toxics.clear();
      await call("POST", `/proxies/${name}`, { enabled: true });
    },
  };
}

/** Resolves to where the proxy listens, where the answer says so. */
async function call(method: string, path: string, body?: object): Promise<string> {
  const response = await fetch(services.toxiproxy.url + path, { method, ...(body !== undefined && { body: JSON.stringify(body) }) });
  if (!response.ok) throw new Error(`toxiproxy answered ${response.status} to ${method} ${path}`);
  const answer: unknown = response.status === 204 ? undefined : await response.json();
  return typeof answer === "object" && answer !== null && "listen" in answer ? String(answer.listen) : "";
}
