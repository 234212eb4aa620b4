import { randomInt, randomUUID } from "node:crypto";
import { createServer, type Server } from "node:net";

import { type Outcome, runCommand } from "../tools/run-command.ts";
import { type ServiceName, services } from "./services.ts";

/** What a test may have an instance of its own of. */
export type BrokerName = Extract<ServiceName, "nats" | "kafka" | "rabbitmq" | "mqtt" | "pulsar">;

/** What a broker that lets in nobody else and speaks nothing but TLS needs. */
export interface BrokerSecurity {
  /** The folder of `makeCertificates`. */
  readonly certificates: string;
  /** Letters and digits, and so the password. On Pulsar a role of tokens, and the secret that these are signed with. */
  readonly user: string;
  readonly password: string;
}

/** A broker that one test has for itself, with ports and data of its own. */
export interface OwnBroker {
  readonly url: string;
  /** Ends it at once, as a power cut would. What it had stored stays. */
  kill(): Promise<void>;
  /** Ends it at once, and removes what it had stored: `restart` starts a new one in its place. */
  wipe(): Promise<void>;
  /** Starts it again on the same ports and data, when it does not run. Resolves when it can be used. */
  restart(): Promise<void>;
  /** Ends it, removes what it had stored and gives its ports back. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts a broker for a test that kills it: the one that all tests share must stay up.
 *
 * Call it within `suiteWith(name)`, so that the machine has the program, and `stop` it in the end. Test files that run side by side never get the same
 * ports. What a killed test run leaves behind is ended by `scripts/services stop`.
 *
 * @throws Error where it does not start, with the end of its log
 * @example const broker = await ownBroker("nats");
 *   onTestFinished(() => broker.stop());
 *   await broker.kill();
 *   await broker.restart();
 */
export async function ownBroker(name: BrokerName, security?: BrokerSecurity): Promise<OwnBroker> {
  const instance = randomUUID();
  const refusals: string[] = [];
  for (const offset of offsets()) {
    const reservation = await reserved(offset);
    if (reservation === undefined) continue;
    const control = controlOf(name, environmentOf(instance, offset, security));
    const outcome = await control("start");
    if (outcome.ok) return brokerOf(services[name].at(offset), control, reservation);
    reservation.close();
    await control("stop");
    if (!outcome.output.includes(takenPort)) throw failureOf(name, "start", outcome);
    refusals.push(outcome.output.trim());
  }
  throw new Error(`${name} found no free ports from ${firstOffset} on; ${refusals.at(-1) ?? "all are reserved by other tests"}`);
}

/** How far apart two instances are: more than the ports of all servers together. */
const stride = 50;
/** Far from any other checkout's servers, and the last one below the ports that systems give to clients. */
const firstOffset = 4_000;
const lastOffset = 8_000;
/** A port that no server has. Who listens on it, moved by the offset, has the ports of that offset until its process ends, however it ends. */
const reservationPort = 24_490;
const takenPort = "is taken by a process that was not started from here";

type Action = "start" | "kill" | "stop";
type Control = (action: Action) => Promise<Outcome>;

/** Every offset once, from a random one on, so that those who look at the same time seldom meet. */
function offsets(): number[] {
  const count = (lastOffset - firstOffset) / stride;
  const first = randomInt(count);
  const outer = Number(process.env["EVENT_DRIVER_PORT_OFFSET"] || 0);
  return Array.from({ length: count }, (_, index) => outer + firstOffset + ((first + index) % count) * stride);
}

function reserved(offset: number): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", (error: NodeJS.ErrnoException) => (error.code === "EADDRINUSE" ? resolve(undefined) : reject(error)));
    server.listen(reservationPort + offset, "127.0.0.1", () => resolve(server.unref()));
  });
}

function environmentOf(instance: string, offset: number, security: BrokerSecurity | undefined): readonly string[] {
  const own = [`EVENT_DRIVER_INSTANCE=${instance}`, `EVENT_DRIVER_PORT_OFFSET=${offset}`];
  if (security === undefined) return own;
  const { certificates, user, password } = security;
  return [...own, `EVENT_DRIVER_TLS=${certificates}`, `EVENT_DRIVER_USER=${user}`, `EVENT_DRIVER_PASSWORD=${password}`];
}

function controlOf(name: BrokerName, environment: readonly string[]): Control {
  return (action) => runCommand(["env", ...environment, "scripts/services", action, name]);
}

function brokerOf(url: string, control: Control, reservation: Server): OwnBroker {
  const done = async (action: Action): Promise<void> => {
    const outcome = await control(action);
    if (!outcome.ok) throw failureOf(url, action, outcome);
  };
  return {
    url,
    kill: () => done("kill"),
    async wipe() {
      await done("kill");
      await done("stop");
    },
    restart: () => done("start"),
    async stop() {
      await done("stop");
      reservation.close();
    },
  };
}

function failureOf(broker: string, action: string, { reason, output }: Outcome): Error {
  return new Error(`scripts/services ${action} of ${broker} ${reason}:\n${output}`);
}
