import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { parse } from "yaml";
import { z } from "zod";

import { projectRoot, runCommand } from "../../tools/run-command.ts";
import { faultProxy } from "../fault-proxy.ts";
import { services, suiteWith } from "../services.ts";

const composed = z
  .object({
    services: z.record(
      z.string(),
      z.strictObject({
        image: z.string().optional(),
        build: z.strictObject({ dockerfile_inline: z.string() }).optional(),
        command: z.array(z.string()).default([]),
        environment: z.record(z.string(), z.string()).default({}),
        ports: z.array(z.string()).optional(),
        network_mode: z.literal("host").optional(),
        healthcheck: z.strictObject({ test: z.tuple([z.literal("CMD")], z.string()), interval: z.string(), retries: z.number() }),
      }),
    ),
  })
  .parse(parse(readFileSync(join(projectRoot, "compose.yaml"), "utf8"))).services;

test("the tests look for every server where scripts/services starts it", async () => {
  vi.stubEnv("EVENT_DRIVER_PORT_OFFSET", "");
  for (const { variable } of Object.values(services)) vi.stubEnv(variable, "");

  const servers = await listed();

  const looked = Object.values(services).map(({ url }) => new URL(url));
  expect(new Set(looked.map(({ hostname }) => hostname))).toEqual(new Set(["127.0.0.1"]));
  expect(servers.flatMap(({ ports }) => ports)).toEqual(expect.arrayContaining(looked.map(({ port }) => port)));
  const found = servers.filter(({ ports }) => looked.some(({ port }) => ports.includes(port)));
  expect(found).toEqual(servers);
});

test("what scripts/services can do without, the tests can too", async () => {
  const leftOut = (await listed()).filter(({ optional }) => optional).map(({ name }) => name);

  const optional = Object.entries(services).flatMap(([name, service]) => (service.optional === undefined ? [] : [name]));
  expect(optional).toEqual(leftOut);
});

test("the ports move together, and one server can be elsewhere", async () => {
  vi.stubEnv("EVENT_DRIVER_PORT_OFFSET", "1000");
  vi.stubEnv("GCS_URL", "http://10.0.0.1:80");
  vi.stubEnv("TOXIPROXY_URL", "");

  const moved = await listed(1_000);

  expect(services.gcs.url).toBe("http://10.0.0.1:80");
  expect(services.toxiproxy.url).toBe("http://127.0.0.1:25470");
  expect(moved.find(({ name }) => name === "toxiproxy")?.ports).toEqual(["25470"]);
});

test("compose.yaml has the same servers in the same versions", async () => {
  const servers = await listed();

  expect(Object.keys(composed).toSorted()).toEqual(servers.map(({ name }) => name));
  for (const { name, versions } of servers) {
    const { image = "", build } = composed[name] ?? {};
    for (const version of versions) expect(`${image} ${build?.dockerfile_inline}`).toContain(version);
  }
});

test("every image of compose.yaml is pinned to a version", () => {
  const images = Object.values(composed).map(({ image, build }) => image ?? /^FROM (\S+)$/m.exec(build?.dockerfile_inline ?? "")?.[1]);

  for (const image of images) expect(image).toMatch(/^[\w./-]+:\d+\.\d+[\w.-]*$/);
});

test("compose.yaml opens the same ports, on the loopback interface alone", async () => {
  const servers = await listed();

  const opened = servers.map(({ name, ports }) => {
    const { ports: published = [], network_mode: network, command = [], environment = {} } = composed[name] ?? {};
    const told = [...command, ...Object.values(environment)].join(" ");
    // On the host's network the server itself decides where it listens.
    const loopback = network === "host" ? /=127\.0\.0\.1\b/.test(told) : published.every((port) => port.startsWith("127.0.0.1:"));
    return { name, loopback, ports: ports.filter((port) => told.includes(port)), published };
  });

  expect(opened).toEqual(
    servers.map(({ name, ports }) => {
      const published = composed[name]?.network_mode === "host" ? [] : ports.map((port) => `127.0.0.1:${port}:${port}`);
      return { name, loopback: true, ports, published };
    }),
  );
});

test("compose.yaml asks each server on its own port whether it is well", async () => {
  for (const { name, ports } of await listed())
    expect(composed[name]?.healthcheck.test.join(" ")).toMatch(new RegExp(`\\b127\\.0\\.0\\.1[: /](${ports.join("|")})\\b`));
});

describe("a suite that needs servers", () => {
  test("runs when all of them answer", async () => {
    await reachable("GCS_URL", "TOXIPROXY_URL");

    expect(await suiteWith("gcs", "toxiproxy")).toBe(describe);
  });

  test("is skipped aloud when one does not answer", async () => {
    await reachable("GCS_URL");
    vi.stubEnv("TOXIPROXY_URL", nobody);
    vi.stubEnv("REQUIRE_SERVICES", "");
    const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);

    const suite = await suiteWith("gcs", "toxiproxy");

    expect(suite).not.toBe(describe);
    expect(written.mock.calls).toEqual([[`skipped: no answer from toxiproxy at ${nobody}; start it with scripts/services start\n`]]);
  });

  test("fails instead where servers are required", async () => {
    vi.stubEnv("GCS_URL", nobody);
    vi.stubEnv("REQUIRE_SERVICES", "1");

    await expect(suiteWith("gcs")).rejects.toThrow(`no answer from gcs at ${nobody}`);
  });

  test("is skipped with the reason even there when what is missing can only be had by luck", async () => {
    await reachable("GCS_URL");
    vi.stubEnv("PUBSUB_URL", nobody);
    vi.stubEnv("REQUIRE_SERVICES", "1");
    const written = vi.spyOn(process.stderr, "write").mockReturnValue(true);

    const suite = await suiteWith("gcs", "pubsub");

    expect(suite).not.toBe(describe);
    expect(written.mock.calls.join("")).toContain(`pubsub at ${nobody} (Google's emulator is in no package registry)`);
  });

  test("is refused while a variable is set that leads Google's clients astray", async () => {
    vi.stubEnv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:24443");

    await expect(suiteWith("gcs")).rejects.toThrow("STORAGE_EMULATOR_HOST must not be set");
  });
});

/** A port of the loopback interface that nobody may listen on without being asked. */
const nobody = "http://127.0.0.1:1";

async function reachable(...variables: readonly string[]): Promise<void> {
  const server = await faultProxy({ upstream: nobody });
  onTestFinished(() => server.close());
  for (const variable of variables) vi.stubEnv(variable, server.url);
}

interface ListedServer {
  readonly name: string;
  readonly ports: readonly string[];
  readonly optional: boolean;
  /** The versions among its pins, without a `v` before them. */
  readonly versions: readonly string[];
}

async function listed(offset = 0): Promise<ListedServer[]> {
  const { stdout } = await runCommand(["env", `EVENT_DRIVER_PORT_OFFSET=${offset}`, "scripts/services", "list"]);
  return stdout
    .trim()
    .split("\n")
    .map((line) => {
      const [name = "", ports = "", need, ...version] = line.split(" ");
      const versions = version.flatMap((word) => /\d+(?:\.\d+)+$/.exec(word)?.[0] ?? []);
      return { name, ports: ports.split(","), optional: need === "optional", versions };
    });
}
