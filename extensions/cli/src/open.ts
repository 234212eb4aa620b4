import type { EventStore, Processor } from "event-driver";
import type { ParkedKeys } from "event-driver/dead-letters";
import type { Connection } from "event-driver/streams";

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { withoutSecrets } from "./one-line.ts";
import { Usage } from "./usage.ts";

/** What the user has named on the command line. */
export interface Addresses {
  readonly connection?: string;
  readonly store?: string;
  readonly config?: string;
}

/** What was opened, and is to be closed again. */
export interface Opened {
  readonly connection: Connection | undefined;
  readonly store: EventStore | undefined;
  readonly pipeline: Pick<Processor, "process"> | undefined;
  readonly parked: ParkedKeys | undefined;
  close(): Promise<void>;
}

type Open<Kind> = (url: string) => Promise<Kind>;

/** Each broker's package is loaded when its scheme is asked for: whoever uses one does not need the others. */
const brokers: Readonly<Record<string, { readonly package: string; readonly open: Open<Connection> }>> = {
  nats: { package: "@event-driver/nats", open: async (url) => (await import("@event-driver/nats")).natsConnection({ url }) },
  tls: { package: "@event-driver/nats", open: async (url) => (await import("@event-driver/nats")).natsConnection({ url }) },
  kafka: { package: "@event-driver/kafka", open: async (url) => (await import("@event-driver/kafka")).kafkaConnection({ url }) },
  amqp: { package: "@event-driver/rabbitmq", open: async (url) => (await import("@event-driver/rabbitmq")).rabbitmqConnection({ url }) },
  amqps: { package: "@event-driver/rabbitmq", open: async (url) => (await import("@event-driver/rabbitmq")).rabbitmqConnection({ url }) },
  "pulsar+ws": { package: "@event-driver/pulsar", open: async (url) => (await import("@event-driver/pulsar")).pulsarConnection({ url }) },
  "pulsar+wss": { package: "@event-driver/pulsar", open: async (url) => (await import("@event-driver/pulsar")).pulsarConnection({ url }) },
  mqtt: { package: "@event-driver/mqtt", open: async (url) => (await import("@event-driver/mqtt")).mqttConnection({ url }) },
  mqtts: { package: "@event-driver/mqtt", open: async (url) => (await import("@event-driver/mqtt")).mqttConnection({ url }) },
};

/** Opens what was named; what the command line names comes before what the file gives. */
export async function openAll({ connection, store, config }: Addresses): Promise<Opened> {
  const given = config === undefined ? {} : await readConfig(config);
  const opened: { close(): Promise<void> }[] = [];
  try {
    const parts = {
      store: store === undefined ? given.store : await openStore(store),
      connection: connection === undefined ? given.connection : await openConnection(connection),
    };
    for (const part of [parts.connection, parts.store]) if (part !== undefined) opened.push(part);
    return { ...parts, pipeline: given.pipeline, parked: given.parked, close: () => closeAll(opened) };
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

async function openConnection(url: string): Promise<Connection> {
  const broker = brokers[schemeOf(url)];
  if (broker === undefined)
    throw new Usage(
      `--connection ${withoutSecrets(url)} is of no known broker; take one of ${Object.keys(brokers).join(", ")}, or --config`,
    );
  return installed(broker.package, () => broker.open(url));
}

async function openStore(address: string): Promise<EventStore> {
  const file = address.slice("sqlite:".length);
  if (schemeOf(address) !== "sqlite" || file === "")
    throw new Usage(`--store ${withoutSecrets(address)} is not known; take sqlite:FILE, or --config`);
  return installed("@event-driver/sqlite", async () => (await import("@event-driver/sqlite")).sqliteEventStore({ file }));
}

function schemeOf(address: string): string {
  return /^([a-z][a-z0-9+.-]*):/i.exec(address)?.[1]?.toLowerCase() ?? "";
}

async function installed<Kind>(name: string, open: () => Promise<Kind>): Promise<Kind> {
  try {
    return await open();
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND";
    if (isMissing && error.message.includes(name)) throw new Usage(`${name} is not installed: npm install ${name}`);
    throw error;
  }
}

type Config = Partial<Omit<Opened, "close">>;

async function readConfig(file: string): Promise<Config> {
  const module: Readonly<Record<string, unknown>> = await import(pathToFileURL(resolve(file)).href);
  const connection = await valueOf(module["connection"]);
  const store = await valueOf(module["store"]);
  const pipeline = await valueOf(module["pipeline"]);
  const parked = await valueOf(module["parked"]);
  const config: Config = {
    ...(isConnection(connection) && { connection }),
    ...(isStore(store) && { store }),
    ...(isPipeline(pipeline) && { pipeline }),
    ...(isParkedKeys(parked) && { parked }),
  };
  if (Object.keys(config).length === 0)
    throw new Usage(`--config ${file} exports none of connection, store, pipeline and parked, or nothing that is one`);
  return config;
}

/** A function is called for the thing itself, so that a file can be read without opening what is in it. */
async function valueOf(exported: unknown): Promise<unknown> {
  return typeof exported === "function" ? exported() : exported;
}

function isConnection(value: unknown): value is Connection {
  return hasMethods(value, "pull", "publish");
}

function isStore(value: unknown): value is EventStore {
  return hasMethods(value, "persist", "lookUp");
}

function isPipeline(value: unknown): value is Pick<Processor, "process"> {
  return hasMethods(value, "process");
}

function isParkedKeys(value: unknown): value is ParkedKeys {
  return hasMethods(value, "visit", "skip");
}

function hasMethods(value: unknown, ...names: readonly string[]): boolean {
  return typeof value === "object" && value !== null && names.every((name) => typeof Reflect.get(value, name) === "function");
}

/** In the order given: a connection first, for what it still does may need the store. */
async function closeAll(opened: readonly { close(): Promise<void> }[]): Promise<void> {
  for (const each of opened) await each.close();
}
