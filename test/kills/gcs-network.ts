import { randomUUID } from "node:crypto";
import { onTestFinished } from "vitest";

import { services } from "../services.ts";

/** One way in which connections are bad, as toxiproxy takes it. */
export interface Toxic {
  readonly type: "latency" | "reset_peer" | "limit_data";
  /** How likely a connection has it. */
  readonly toxicity: number;
  readonly attributes: Readonly<Record<string, number>>;
}

/** A way to a server whose connections can be made bad and good again. */
export interface Network {
  /** Where it begins, without a slash at the end. */
  readonly url: string;
  /** Makes connections bad, those that are open as well. */
  poison(toxic: Toxic): Promise<void>;
  /** Makes new connections good again. */
  heal(): Promise<void>;
}

/** Lays a way through toxiproxy. It is gone with the test. */
export async function networkTo(upstream: string): Promise<Network> {
  const name = `network-${randomUUID()}`;
  const way = { name, listen: "127.0.0.1:0", upstream: new URL(upstream).host, enabled: true };
  const { listen }: { readonly listen?: string } = Object(await ask("POST", "", way));
  onTestFinished(async () => void (await ask("DELETE", `/${name}`)));
  const toxics: string[] = [];

  return {
    url: `http://${listen}`,
    async poison(toxic) {
      const { name: added }: { readonly name?: string } = Object(await ask("POST", `/${name}/toxics`, { stream: "downstream", ...toxic }));
      toxics.push(String(added));
    },
    async heal() {
      for (const toxic of toxics.splice(0)) await ask("DELETE", `/${name}/toxics/${toxic}`);
    },
  };
}

async function ask(method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(`${services.toxiproxy.url}/proxies${path}`, { method, ...(body && { body: JSON.stringify(body) }) });
  const text = await response.text();
  if (!response.ok) throw new Error(`toxiproxy answers ${response.status} to ${method} ${path}: ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}
