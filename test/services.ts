import { connect } from "node:net";
import { describe } from "vitest";

/** A server that integration tests talk to, as `scripts/services` starts it. */
export interface Service {
  /** The environment variable that names another place for it. */
  readonly variable: string;
  /** Where it is, without a slash at the end. */
  readonly url: string;
  /** Where an instance of it is whose ports are moved by so much. */
  at(offset: number): string;
  /** Why a machine may be without it, where it can only be had by luck: its tests are skipped then even under `REQUIRE_SERVICES`. */
  readonly optional: string | undefined;
}

/** Every server, all on ports of the loopback interface that nothing else is likely to use. `EVENT_DRIVER_PORT_OFFSET` moves them. */
export const services: Readonly<Record<ServiceName, Service>> = {
  gcs: service("GCS_URL", "http://127.0.0.1", 24443),
  bigquery: service("BIGQUERY_URL", "http://127.0.0.1", 24450),
  bigqueryGrpc: service("BIGQUERY_GRPC_URL", "http://127.0.0.1", 24451),
  pubsub: service("PUBSUB_URL", "http://127.0.0.1", 24460, "Google's emulator is in no package registry"),
  toxiproxy: service("TOXIPROXY_URL", "http://127.0.0.1", 24470),
  nats: service("NATS_URL", "nats://127.0.0.1", 24480),
  kafka: service("KAFKA_URL", "kafka://127.0.0.1", 24482),
  rabbitmq: service("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1", 24484),
  mqtt: service("MQTT_URL", "mqtt://127.0.0.1", 24487),
  pulsar: service("PULSAR_URL", "pulsar+ws://127.0.0.1", 24489),
};

export type ServiceName = "gcs" | "bigquery" | "bigqueryGrpc" | "pubsub" | "toxiproxy" | "nats" | "kafka" | "rabbitmq" | "mqtt" | "pulsar";

/**
 * Vitest's `describe` for tests that need servers. Where one of them does not answer, it is the one that skips, and the reason is printed.
 *
 * @throws Error where one that is not optional does not answer and `REQUIRE_SERVICES` is `1`, and where a variable is set that leads Google's clients astray
 * @example const suite = await suiteWith("gcs");
 *   suite("a bucket", () => { test("keeps what it is given", ...) });
 */
export async function suiteWith(...names: readonly ServiceName[]): Promise<typeof describe.skip> {
  refuseMisleadingVariables();
  const answers = await Promise.all(names.map((name) => isReachable(services[name].url)));
  const missing = names.filter((_, index) => !answers[index]);
  if (missing.length === 0) return describe;
  const reason = `no answer from ${missing.map(described).join(" and ")}; start it with scripts/services start`;
  if (process.env["REQUIRE_SERVICES"] === "1" && missing.some((name) => services[name].optional === undefined)) throw new Error(reason);
  process.stderr.write(`skipped: ${reason}\n`);
  return describe.skip;
}

/** Google's clients take these for their whole base URL, before what they are given, and then ask for paths that no server has. */
function refuseMisleadingVariables(): void {
  const set = ["STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"].filter((variable) => process.env[variable]);
  if (set.length > 0)
    throw new Error(`${set.join(" and ")} must not be set: the tests give the clients their addresses, and it breaks these`);
}

function service(variable: string, host: string, port: number, optional?: string): Service {
  const at = (offset: number): string => `${host}:${port + offset}`;
  return {
    variable,
    get url() {
      return process.env[variable] || at(Number(process.env["EVENT_DRIVER_PORT_OFFSET"] || 0));
    },
    at,
    optional,
  };
}

function described(name: ServiceName): string {
  const { url, optional } = services[name];
  return `${name} at ${url}${optional === undefined ? "" : ` (${optional})`}`;
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
