import { connect } from "node:net";
import { describe } from "vitest";

/** A server that integration tests talk to, as `scripts/services` starts it. */
export interface Service {
  /** The environment variable that names another place for it. */
  readonly variable: string;
  /** Where it is, without a slash at the end. */
  readonly url: string;
}

/** Every server, all on ports of the loopback interface that nothing else is likely to use. */
export const services: Readonly<Record<"gcs" | "bigquery" | "bigqueryGrpc" | "pubsub" | "toxiproxy", Service>> = {
  gcs: at("GCS_URL", "http://127.0.0.1:24443"),
  bigquery: at("BIGQUERY_URL", "http://127.0.0.1:24450"),
  bigqueryGrpc: at("BIGQUERY_GRPC_URL", "http://127.0.0.1:24451"),
  pubsub: at("PUBSUB_URL", "http://127.0.0.1:24460"),
  toxiproxy: at("TOXIPROXY_URL", "http://127.0.0.1:24470"),
};

export type ServiceName = keyof typeof services;

/**
 * Vitest's `describe` for tests that need servers. Where one of them does not answer, it is the one that skips, and the reason is printed.
 *
 * @throws Error where one does not answer and `REQUIRE_SERVICES` is `1`
 * @example const suite = await suiteWith("gcs");
 *   suite("a bucket", () => { test("keeps what it is given", ...) });
 */
export async function suiteWith(...names: readonly ServiceName[]): Promise<typeof describe.skip> {
  const answers = await Promise.all(names.map((name) => isReachable(services[name].url)));
  const missing = names.filter((_, index) => !answers[index]).map((name) => `${name} at ${services[name].url}`);
  if (missing.length === 0) return describe;
  const reason = `no answer from ${missing.join(" and ")}; start it with scripts/services start`;
  if (process.env["REQUIRE_SERVICES"] === "1") throw new Error(reason);
  process.stderr.write(`skipped: ${reason}\n`);
  return describe.skip;
}

function at(variable: string, otherwise: string): Service {
  return { variable, url: process.env[variable] || otherwise };
}

/** Whether anyone listens there. Loopback answers at once, also with a refusal. */
function isReachable(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port), timeout: 2_000 });
    const settle = (reachable: boolean): void => {
      socket.destroy();
      resolve(reachable);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
    socket.once("timeout", () => settle(false));
  });
}
