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

/** A package that is loaded when it is asked for, by name: whoever uses one broker does not need the others. */
export interface Adapter {
  readonly package: string;
  readonly factory: string;
}

const nats: Adapter = { package: "@event-driver/nats", factory: "natsConnection" };
const kafka: Adapter = { package: "@event-driver/kafka", factory: "kafkaConnection" };
const rabbitmq: Adapter = { package: "@event-driver/rabbitmq", factory: "rabbitmqConnection" };
const pulsar: Adapter = { package: "@event-driver/pulsar", factory: "pulsarConnection" };
const mqtt: Adapter = { package: "@event-driver/mqtt", factory: "mqttConnection" };
const sqlite: Adapter = { package: "@event-driver/sqlite", factory: "sqliteEventStore" };

/** Which package speaks to a broker, by the scheme of its address. */
export const brokers: ReadonlyMap<string, Adapter> = new Map([
  ["nats", nats],
  ["tls", nats],
  ["kafka", kafka],
  ["kafkas", kafka],
  ["amqp", rabbitmq],
  ["amqps", rabbitmq],
  ["pulsar+ws", pulsar],
  ["pulsar+wss", pulsar],
  ["mqtt", mqtt],
  ["mqtts", mqtt],
]);

/** Opens what was named; what the command line names comes before what the file gives. */
export async function openAll({ connection, store, config }: Addresses): Promise<Opened> {
  const given = config === undefined ? {} : await readConfig(config);
  const opened: { close(): Promise<void> }[] = [];
  try {
    const letterStore = store === undefined ? given.store : await openStore(store);
    if (letterStore !== undefined) opened.push(letterStore);
    const broker = connection === undefined ? given.connection : await openConnection(connection);
    // In front of the store: what it still works on may be kept there.
    if (broker !== undefined) opened.unshift(broker);
    return {
      store: letterStore,
      connection: broker,
      pipeline: given.pipeline,
      parked: given.parked,
      close: () => closeAll(opened),
    };
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

async function openConnection(url: string): Promise<Connection> {
  const broker = brokers.get(schemeOf(url));
  if (broker === undefined)
    throw new Usage(
      `--connection ${withoutSecrets(url)} is of no known broker; take one of ${[...brokers.keys()].join(", ")}, or --config`,
    );
  const connection = await open(broker, { url });
  if (!isConnection(connection)) throw new Usage(`${broker.package} is of another version: install the one that fits`);
  return connection;
}

async function openStore(address: string): Promise<EventStore> {
  const file = address.slice("sqlite:".length);
  if (schemeOf(address) !== "sqlite" || file === "")
    throw new Usage(`--store ${withoutSecrets(address)} is not known; take sqlite:FILE, or --config`);
  const store = await open(sqlite, { file });
  if (!isStore(store)) throw new Usage(`${sqlite.package} is of another version: install the one that fits`);
  return store;
}

function schemeOf(address: string): string {
  return /^([a-z][a-z0-9+.-]*):/i.exec(address)?.[1]?.toLowerCase() ?? "";
}

async function open(adapter: Adapter, options: object): Promise<unknown> {
  const factory = (await load(adapter.package))[adapter.factory];
  return typeof factory === "function" ? Reflect.apply(factory, undefined, [options]) : undefined;
}

async function load(name: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await import(name);
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
