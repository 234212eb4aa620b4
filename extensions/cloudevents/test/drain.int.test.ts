import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test, vi } from "vitest";

import { openSocket, rawPost } from "./raw-socket.ts";

test.each(["SIGTERM", "SIGINT"] as const)(
  "on %s a service answers what is in flight, closes its store and exits with 0",
  async (signal) => {
    const service = await startService();
    const inFlight = await openSocket(service.port);
    inFlight.socket.write(rawPost("{}"));
    await service.says("came e-1");

    service.process.kill(signal);
    const probe = await openSocket(service.port);
    probe.socket.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1));
    expect(await probe.closed).toMatch(/^HTTP\/1.1 (503|200) /);
    service.process.stdin.write("go on\n");

    expect(await inFlight.closed).toMatch(/^HTTP\/1.1 204 .*connection: close/is);
    await service.says("closed");
    expect(await service.exit).toEqual([0, null]);
  },
);

test("a second signal ends the service at once", async () => {
  const service = await startService();
  const inFlight = await openSocket(service.port);
  inFlight.socket.write(rawPost("{}"));
  await service.says("came e-1");

  service.process.kill("SIGTERM");
  await drains(service.port);
  service.process.kill("SIGTERM");

  expect(await service.exit).toEqual([null, "SIGTERM"]);
});

/** Resolves when the service has heard the signal. */
async function drains(port: number): Promise<void> {
  await vi.waitFor(async () => {
    const probe = await openSocket(port);
    probe.socket.write("GET /healthz HTTP/1.1\r\nHost: receiver.test\r\n\r\n");
    const answer = await probe.receives(/\}/);
    probe.socket.destroy();
    expect(answer).toMatch(/^HTTP\/1.1 503 /);
  });
}

interface Service {
  readonly process: ChildProcessWithoutNullStreams;
  readonly port: number;
  /** Exit code and signal. */
  readonly exit: Promise<unknown[]>;
  says(line: string): Promise<void>;
}

async function startService(): Promise<Service> {
  const script = fileURLToPath(new URL("serve.ts", import.meta.url));
  const child = spawn(process.execPath, ["-C", "@event-driver/source", "--disable-warning=ExperimentalWarning", script]);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await lines.next()).value);
  const [, port] = (await next()).split(" ");
  return {
    process: child,
    port: Number(port),
    exit: once(child, "exit"),
    async says(line) {
      expect(await next()).toBe(line);
    },
  };
}
