import { services } from "../../../test/services.ts";

/** A proxy of toxiproxy in front of a broker. */
export interface Proxy {
  /** The broker's URL, by way of the proxy. */
  readonly url: string;
  /** Breaks every connection and takes no new one, until `heal`. */
  goAway(): Promise<void>;
  /** From now on nothing comes through, and no connection breaks. */
  stall(): Promise<void>;
  /** From now on what is asked is done, and connections break at the first byte of an answer. */
  cutAnswers(): Promise<void>;
  /** Ends all of these. */
  heal(): Promise<void>;
  remove(): Promise<void>;
}

export async function proxyOf(upstream: string): Promise<Proxy> {
  const name = crypto.randomUUID();
  const target = new URL(upstream);
  const listen = await call("POST", "/proxies", { name, listen: "127.0.0.1:0", upstream: target.host, enabled: true });
  const toxics = new Set<string>();
  const add = async (type: string, stream: string, attributes: object): Promise<void> => {
    toxics.add(`${type}-${stream}`);
    await call("POST", `/proxies/${name}/toxics`, { name: `${type}-${stream}`, type, stream, toxicity: 1, attributes });
  };

  return {
    url: Object.assign(new URL(upstream), { host: listen }).href,
    goAway: async () => void (await call("POST", `/proxies/${name}`, { enabled: false })),
    stall: () => add("timeout", "downstream", { timeout: 0 }),
    cutAnswers: () => add("limit_data", "downstream", { bytes: 0 }),
    async heal() {
      for (const toxic of toxics) await call("DELETE", `/proxies/${name}/toxics/${toxic}`);
      toxics.clear();
      await call("POST", `/proxies/${name}`, { enabled: true });
    },
    remove: async () => void (await call("DELETE", `/proxies/${name}`)),
  };
}

/** Resolves to where the proxy listens, where the answer says so. */
async function call(method: string, path: string, body?: object): Promise<string> {
  const response = await fetch(services.toxiproxy.url + path, { method, ...(body !== undefined && { body: JSON.stringify(body) }) });
  if (!response.ok) throw new Error(`toxiproxy answered ${response.status} to ${method} ${path}`);
  const answer: unknown = response.status === 204 ? undefined : await response.json();
  return typeof answer === "object" && answer !== null && "listen" in answer ? String(answer.listen) : "";
}
