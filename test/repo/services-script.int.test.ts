import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

import { type Outcome, projectRoot, runCommand } from "../../tools/run-command.ts";
import { temporaryFolder } from "./temporary-folder.ts";

test("a server that was started answers, is left alone by a second start, and is gone after a stop", async () => {
  const project = await projectWith();

  const started = await project.run("start");
  const first = project.process();
  const again = await project.run("start");

  expect(started).toMatchObject({ ok: true, output: expect.stringContaining(`fake: is ready on port ${project.port}\n`) });
  expect(again).toMatchObject({ ok: true, output: `fake: runs already, on port ${project.port}\n` });
  expect(project.process()).toBe(first);
  expect((await fetch(project.url)).status).toBe(200);
  expect((await project.run("status")).ok).toBe(true);

  expect((await project.run("stop")).output).toBe("fake: has stopped\n");
  await expect(fetch(project.url)).rejects.toThrow("fetch failed");
  expect(await project.run("status")).toMatchObject({ ok: false, output: "fake: does not run\n" });
});

test("a server that was killed is said to have ended, and starts again with what it had stored", async () => {
  const project = await projectWith();
  await project.run("start");
  await fetch(`${project.url}/store/order`);

  process.kill(project.process(), "SIGKILL");
  await expect
    .poll(() =>
      fetch(project.url).then(
        () => "answers",
        () => "gone",
      ),
    )
    .toBe("gone");
  const status = await project.run("status");
  const restarted = await project.run("start");

  expect(status.output).toContain("fake: has ended by itself");
  expect(restarted.ok).toBe(true);
  expect(await (await fetch(`${project.url}/stored`)).text()).toBe("order");
});

test("kill ends a server with all that it has started, and what it had stored stays", async () => {
  const project = await projectWith({ serve: 'node "$here/../../server.mjs" "${ports[0]}"; true' });
  await project.run("start");
  await fetch(`${project.url}/store/order`);

  const killed = await project.run("kill");

  expect(killed).toMatchObject({ ok: true, output: "fake: was killed\n" });
  await expect(fetch(project.url)).rejects.toThrow("fetch failed");
  expect((await project.run("kill")).output).toBe("fake: does not run\n");
  await project.run("start");
  expect(await (await fetch(`${project.url}/stored`)).text()).toBe("order");
});

test("what outlived a server that someone else has killed is ended by a start", async () => {
  const project = await projectWith({ serve: 'node "$here/../../server.mjs" "${ports[0]}"; true' });
  await project.run("start");

  process.kill(project.process(), "SIGKILL");
  const started = await project.run("start");

  expect(started).toMatchObject({ ok: true, output: `fake: is ready on port ${project.port}\n` });
});

test("an instance shares the program, and nothing that runs or is stored", async () => {
  const project = await projectWith();
  const instance = await project.instance("second");
  await project.run("start");
  await fetch(`${project.url}/store/order`);

  const started = await instance.run("start");
  const stored = await (await fetch(`${instance.url}/stored`)).text();
  const stopped = await instance.run("stop");

  expect(started.output).toBe(`fake: is ready on port ${instance.port}\n`);
  expect(stored).toBe("");
  expect(stopped.output).toBe("fake: has stopped\n");
  expect(existsSync(project.path(".services/fake/instances/second"))).toBe(false);
  expect(await (await fetch(`${project.url}/stored`)).text()).toBe("order");
});

test("a stop ends the instances too that were left behind", async () => {
  const project = await projectWith();
  const instance = await project.instance("forgotten");
  await instance.run("start");

  const stopped = await project.run("stop");

  expect(stopped).toMatchObject({ ok: true, output: "fake: has stopped\n" });
  await expect(fetch(instance.url)).rejects.toThrow("fetch failed");
});

test("a program outside of the installed ones is installed again when it is gone", async () => {
  const project = await projectWith({
    install: 'touch "$home/elsewhere"',
    more: "is_present() { [[ -e $home/elsewhere ]]; }",
  });
  await project.run("install");
  const present = await project.run("install");
  rmSync(project.path(".services/fake/elsewhere"));

  const gone = await project.run("install");

  expect(present.output).toBe("");
  expect(gone.output).toContain("fake: installs fake 1\n");
});

test("what a server has stored is gone when it was stopped", async () => {
  const project = await projectWith();
  await project.run("start");
  await fetch(`${project.url}/store/order`);

  await project.run("stop");
  await project.run("start");

  expect(await (await fetch(`${project.url}/stored`)).text()).toBe("");
});

test("a port that someone else listens on is an error, even if that one answers as the server would", async () => {
  const project = await projectWith();
  const stranger = createServer((_request, response) => void response.end());
  await new Promise<void>((resolve) => stranger.listen(project.port, "127.0.0.1", resolve));
  onTestFinished(() => {
    stranger.closeAllConnections();
    stranger.close();
  });

  const started = await project.run("start");

  expect(started).toMatchObject({
    ok: false,
    output: expect.stringContaining(`port ${project.port} is taken by a process that was not started from here`),
  });
  expect((await project.run("stop")).ok).toBe(true);
  expect((await fetch(project.url)).status).toBe(200);
});

test("a server that ends before it is ready is an error with the end of its log, and not of an earlier one", async () => {
  const project = await projectWith({ serve: "echo the first log; exit 1" });
  await project.run("start");
  project.change({ serve: "echo the disk is full; exit 3" });

  const started = await project.run("start");

  expect(started.ok).toBe(false);
  expect(started.output).toMatch(/^fake: ended before it was ready; the end of \S+ is\nthe disk is full\n$/);
});

test("a server that is not ready in time is stopped", async () => {
  const project = await projectWith({ probe: "false", more: "patience=0" });

  const started = await project.run("start");

  expect(started).toMatchObject({ ok: false, output: expect.stringContaining("was not ready within 0 s, so it was stopped") });
  await expect(fetch(project.url)).rejects.toThrow("fetch failed");
});

test("a process that was given the number of an earlier server is not ended in its place", async () => {
  const project = await projectWith();
  await project.run("start");
  const [, birth] = project.processFile();
  await project.run("stop");
  const stranger = spawn("sleep", ["600"]);
  onTestFinished(() => void stranger.kill());
  await once(stranger, "spawn");
  writeFileSync(project.path(".services/fake/process"), `${stranger.pid} ${birth}\n`);

  const stopped = await project.run("stop");

  expect(stopped).toMatchObject({ ok: true, output: "" });
  expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
});

test("an installation that fails half-way is an error, and the next one begins anew", async () => {
  const project = await projectWith({
    install: `
      [[ ! -e $program/half ]] || exit 9
      touch "$program/half"
      echo the network is down
      [[ -e $folder/network ]]
      touch "$program/whole"`,
  });

  const failed = await project.run("install");
  writeFileSync(project.path(".services/fake/network"), "");
  const repaired = await project.run("install");

  expect(failed).toMatchObject({
    ok: false,
    output: expect.stringMatching(/could not be installed; the end of \S+ is\nthe network is down\n$/),
  });
  expect(repaired).toMatchObject({ ok: true, output: expect.stringContaining("fake: is installed, after") });
  expect(existsSync(project.path(".services/fake/program/whole"))).toBe(true);
});

test("a server is installed once for each version", async () => {
  const project = await projectWith();

  const first = await project.run("install");
  const second = await project.run("install");
  project.change({ version: "fake 2" });
  const third = await project.run("install");

  expect([first, second, third].map(({ output }) => output.split("\n")[0])).toEqual(["fake: installs fake 1", "", "fake: installs fake 2"]);
});

test("run passes the command's exit code on and stops what it has started", async () => {
  const project = await projectWith();

  const { ok, reason, output } = await project.run("run", "--", "bash", "-c", `exec 3<>/dev/tcp/127.0.0.1/${project.port} && exit 7`);

  expect({ ok, reason }).toEqual({ ok: false, reason: expect.stringContaining("code 7") });
  expect(output).toContain("fake: has stopped");
  expect((await project.run("status")).output).toBe("fake: does not run\n");
});

test("run leaves a server alone that had been started before", async () => {
  const project = await projectWith();
  await project.run("start");

  const { ok } = await project.run("run", "fake", "--", "true");

  expect(ok).toBe(true);
  expect((await project.run("status")).ok).toBe(true);
});

test("run starts no command when a server does not start", async () => {
  const project = await projectWith({ serve: "exit 1" });

  const { ok, output } = await project.run("run", "--", "echo", "the command");

  expect(ok).toBe(false);
  expect(output).not.toContain("the command");
});

test("run hides the variables that lead Google's clients astray", async () => {
  const project = await projectWith();

  const { output } = await runCommand([
    "env",
    "BIGQUERY_EMULATOR_HOST=x",
    "STORAGE_EMULATOR_HOST=x",
    ...project.command("run", "--", "env"),
  ]);

  expect(output).toContain("PATH=");
  expect(output).not.toContain("EMULATOR_HOST");
});

test("what a machine lacks is an error for a server that is required, and a remark for one that is optional", async () => {
  const project = await projectWith({ missing: "echo java is missing on this machine" });

  const required = await project.run("start");
  project.change({ missing: "echo java is missing on this machine", more: "optional=optional" });
  const optional = await project.run("start");

  expect(required).toMatchObject({ ok: false, output: "fake: java is missing on this machine\n" });
  expect(optional).toMatchObject({ ok: true, output: "fake: is left out: java is missing on this machine\n" });
});

// Where there is no flock, as on macOS, that is not promised.
const { ok: hasFlock } = await runCommand(["bash", "-c", "command -v flock"]);

test.runIf(hasFlock)("starts at the same time give one server", async () => {
  const project = await projectWith();

  const outcomes = await Promise.all([project.run("start"), project.run("start"), project.run("start")]);

  expect(outcomes.map(({ ok }) => ok)).toEqual([true, true, true]);
  expect(outcomes.filter(({ output }) => output.includes("is ready"))).toHaveLength(1);
});

test("a name that no server has is refused with the names there are", async () => {
  const project = await projectWith();

  const { ok, output } = await project.run("start", "kafka");

  expect({ ok, output }).toEqual({ ok: false, output: "scripts/services: no server is called kafka; there are fake\n" });
});

interface FakeServer {
  readonly version?: string;
  readonly missing?: string;
  readonly install?: string;
  readonly serve?: string;
  readonly probe?: string;
  readonly more?: string;
}

/** One running server: the project's own, or a further instance of it. */
interface Instance {
  readonly port: number;
  readonly url: string;
  run(...args: readonly string[]): Promise<Outcome>;
}

interface Project extends Instance {
  instance(name: string): Promise<Instance>;
  path(name: string): string;
  command(...args: readonly string[]): [string, ...string[]];
  change(fake: FakeServer): void;
  /** Number and birth of the process, as they are kept on file. */
  processFile(): string[];
  process(): number;
}

/** A folder with the script and one server of ours; both are gone with the test. */
async function projectWith(fake: FakeServer = {}): Promise<Project> {
  const port = await freePort();
  const folder = temporaryFolder({ "scripts/services.d/fake.sh": fakeServer(port, fake), "server.mjs": server });
  for (const script of ["scripts/services", "scripts/services.d/one"]) {
    copyFileSync(join(projectRoot, script), join(folder, script));
    chmodSync(join(folder, script), 0o755);
  }
  const commandOf = (instance: string, offset: number, args: readonly string[]): [string, ...string[]] => [
    "env",
    "EVENT_DRIVER_SERVICES=",
    `EVENT_DRIVER_INSTANCE=${instance}`,
    `EVENT_DRIVER_PORT_OFFSET=${offset}`,
    join(folder, "scripts/services"),
    ...args,
  ];
  const command = (...args: readonly string[]): [string, ...string[]] => commandOf("", 0, args);
  const run = (...args: readonly string[]): Promise<Outcome> => runCommand(command(...args), { cwd: folder });
  onTestFinished(async () => void (await run("stop")));
  const processFile = (): string[] => readFileSync(join(folder, ".services/fake/process"), "utf8").trim().split(" ");

  return {
    port,
    url: `http://127.0.0.1:${port}`,
    instance: async (name) => {
      const other = await freePort();
      return {
        port: other,
        url: `http://127.0.0.1:${other}`,
        run: (...args) => runCommand(commandOf(name, other - port, args), { cwd: folder }),
      };
    },
    path: (name) => join(folder, name),
    command,
    run,
    change: (other) => writeFileSync(join(folder, "scripts/services.d/fake.sh"), fakeServer(port, other)),
    processFile,
    process: () => Number(processFile()[0]),
  };
}

function fakeServer(port: number, fake: FakeServer): string {
  const { version = "fake 1", missing = ":", install = ":", more = "" } = fake;
  const { serve = `exec node "$here/../../server.mjs" "\${ports[0]}"`, probe = 'answers_http "${ports[0]}" /' } = fake;
  return `
    ports=(${port})
    version="${version}"
    ${more}
    missing() { ${missing}; }
    install_program() { ${install}\n }
    serve() { ${serve}; }
    probe() { ${probe}; }
  `;
}

// Keeps what it is asked to store in a file of the folder that it is started in.
const server = `
  import { createServer } from "node:http";
  import { existsSync, readFileSync, writeFileSync } from "node:fs";
  createServer((request, response) => {
    if (request.url.startsWith("/store/")) writeFileSync("stored", request.url.slice(7));
    response.end(request.url === "/stored" && existsSync("stored") ? readFileSync("stored") : "");
  }).listen(Number(process.argv[2]), "127.0.0.1");
`;

async function freePort(): Promise<number> {
  const listener = createTcpServer();
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const port = portOf(listener.address());
  await new Promise<void>((resolve) => listener.close(() => resolve()));
  return port;
}

function portOf(address: AddressInfo | string | null): number {
  if (address === null || typeof address === "string") throw new Error("the listener has no port");
  return address.port;
}
