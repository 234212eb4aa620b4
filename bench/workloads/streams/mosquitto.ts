import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { temporaryFolder } from "../../harness/temporary-folder.ts";

/** Where a broker is. */
export interface BrokerPlace {
  readonly url: string;
  leave(): Promise<void>;
}

/**
 * Starts a mosquitto that keeps in memory what waits, as much as comes; resolves to why not where there is none.
 *
 * That of the tests writes all it holds to the disk after each message: it would be all that is measured.
 */
export async function ownMosquitto(): Promise<BrokerPlace | string> {
  const program = places().find(existsSync);
  if (program === undefined) return "skipped: there is no mosquitto; get it with scripts/services install mqtt";
  const port = await freePort();
  const file = join(temporaryFolder(), "mosquitto.conf");
  writeFileSync(file, `listener ${port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n`);
  const broker = spawn(program, ["-c", file], { stdio: "ignore" });
  const ended = once(broker, "exit");
  const url = `mqtt://127.0.0.1:${port}`;
  while (!(await answers(url))) await Promise.race([sleep(20), ended.then(refuse)]);
  return {
    url,
    async leave() {
      broker.kill();
      await ended;
    },
  };
}

/** Whether anyone listens there. */
export function answers(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port) });
    const settle = (isUp: boolean): void => {
      socket.destroy();
      resolve(isUp);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
  });
}

/** Folders for administrators are not in everyone's PATH. */
function places(): readonly string[] {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"];
  return folders.map((folder) => join(folder, "mosquitto"));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("a server of TCP has no port");
  return address.port;
}

function refuse(): never {
  throw new Error("mosquitto has ended as soon as it was started");
}
