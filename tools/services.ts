import { connect } from "node:net";

/** A server that integration tests and examples talk to, as `scripts/services` starts it. */
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

/** Whether anyone listens there. Loopback answers at once, also with a refusal. */
export function isReachable(url: string): Promise<boolean> {
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
