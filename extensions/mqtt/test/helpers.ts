import { mqttConnection, type MqttConnectionOptions, type MqttNative } from "@event-driver/mqtt";
import { createMessage, type Message } from "event-driver";
import type { Connection } from "event-driver/streams";
import { fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { connectAsync, type MqttClient } from "mqtt";
import { onTestFinished, vi } from "vitest";

import { services } from "../../../test/services.ts";

/** Generous: machines may be loaded, and nothing waits so long that goes well. */
const patience = 30_000;

/** A connection that is closed when the test has finished. The broker soon forgets what it leaves behind. */
export async function connected(options: Partial<MqttConnectionOptions> = {}): Promise<Connection<MqttNative>> {
  const connection = await mqttConnection({ url: services.mqtt.url, takeOverAfter: 200, sessionExpiry: 60_000, ...options });
  onTestFinished(() => connection.close({ limit: 0 }));
  return connection;
}

/** The bare client. */
export async function bareClient(): Promise<MqttClient> {
  const client = await connectAsync(services.mqtt.url, { protocolVersion: 5 });
  onTestFinished(() => client.endAsync());
  return client;
}

export function newStream(): string {
  return `test/${randomUUID()}`;
}

/** So many messages over so many keys, with their numbers as ids. */
export function messages(count: number, keys: number = count): readonly Message[] {
  return Array.from({ length: count }, (_, index) =>
    createMessage({ id: String(index), key: `order-${index % keys}`, source: "shop", content: "{}" }),
  );
}

/** Publishes all of them; fails when one was not. */
export async function publishAll(connection: Connection<MqttNative>, stream: string, all: readonly Message[]): Promise<void> {
  for (const settlement of await connection.publishBatch(stream, all)) {
    if (settlement.status === "failed") throw settlement.error;
  }
}

/** Waits until it is so. */
export async function until(isSo: () => boolean, what: string): Promise<void> {
  await vi.waitFor(
    () => {
      if (!isSo()) throw new Error(`waited in vain until ${what}`);
    },
    { timeout: patience, interval: 5 },
  );
}

export interface Child {
  /** What it has sent, in order. */
  readonly sent: readonly unknown[];
  readonly exited: Promise<number | null>;
  kill(): void;
}

/** A process that runs a file of `children/`. */
export function child(name: string, ...parameters: readonly string[]): Child {
  const file = fileURLToPath(new URL(`children/${name}.ts`, import.meta.url));
  const process = fork(file, parameters, { execArgv: ["-C", "@event-driver/source", "--disable-warning=ExperimentalWarning"] });
  const sent: unknown[] = [];
  const { promise: exited, resolve } = Promise.withResolvers<number | null>();
  process.on("message", (message) => sent.push(message));
  process.on("exit", (code) => resolve(code));
  onTestFinished(() => void process.kill("SIGKILL"));
  return { sent, exited, kill: () => void process.kill("SIGKILL") };
}
