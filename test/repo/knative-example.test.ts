import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

import { importedPackages } from "../../tools/consumer.ts";
import { findPackages, readManifest } from "../../tools/packages.ts";
import { projectRoot } from "../../tools/run-command.ts";
import { danglingReferences, type Manifest, manifestValidator, parseManifests, readManifests, schemaOf, valuesOf } from "./manifests.ts";

const folder = join(projectRoot, "examples/03-knative");
const manifests = readManifests(join(folder, "manifests"));
const cloudRun = readManifests(join(folder, "cloud-run"));
const validate = manifestValidator(join(folder, "schemas"));
const server = readFileSync(join(projectRoot, "examples/01-orders/server.ts"), "utf8");
const pipeline = readFileSync(join(projectRoot, "examples/01-orders/pipeline.ts"), "utf8");
const dockerfile = readFileSync(join(folder, "Dockerfile"), "utf8");

describe("the manifests of examples/03-knative", () => {
  test.each(manifests)("say of $kind $metadata.name nothing that its API does not know", (manifest) => {
    expect(validate(schemaOf(manifest), manifest)).toEqual([]);
  });

  test("say nothing of the service on Cloud Run that its API does not know", () => {
    expect(cloudRun.map((manifest) => validate("cloud-run-service.json", manifest))).toEqual([[]]);
  });

  test("use every schema", () => {
    const used = ["common.json", "cloud-run-service.json", ...manifests.map(schemaOf)];

    expect([...new Set(used)].toSorted()).toEqual(globSync("*.json", { cwd: join(folder, "schemas") }).toSorted());
  });

  test("refer to nothing but one another", () => {
    expect(danglingReferences(manifests)).toEqual([]);
  });

  test("set only variables that the service reads", () => {
    const [, destructured = ""] = /const \{([^}]+)\} = environment;/.exec(server) ?? [];
    const read = new Set([...destructured.split(",").map((name) => name.trim()), "K_SINK"]);
    const set = [find("Service", "orders"), ...cloudRun].flatMap((service) => variablesOf(service).map(({ name }) => name));

    expect(server).toContain("senderFromEnvironment(environment)");
    expect(set.length).toBeGreaterThan(6);
    expect(set.filter((name) => !read.has(name))).toEqual([]);
  });

  test("sweep on the type that a PingSource sends", () => {
    const types = [find("Service", "orders"), ...cloudRun].flatMap(variablesOf).filter(({ name }) => name === "SWEEP_ON");

    // PingSourceEventType of knative/eventing.
    expect(types.map(({ value }) => value)).toEqual(["dev.knative.sources.ping", "dev.knative.sources.ping"]);
    expect(valuesOf("name", find("PingSource", "orders-sweep").spec)).toEqual(["orders"]);
  });

  test("read the topics that an order is joined of", () => {
    const [, condition = ""] = /matchAll\(([^)]+)\)/.exec(pipeline) ?? [];
    const sources = condition.split(",").map((source) => source.trim().replaceAll('"', ""));

    expect(sources).toHaveLength(3);
    expect(valuesOf("topics", find("KafkaSource", "orders").spec)).toEqual([sources]);
  });

  test("send nothing that the service gives out back to it", () => {
    const [orders, billing] = ["orders", "billing"].map((name) => valuesOf("type", find("Trigger", name).spec));

    expect(billing).toEqual(["composed-event"]);
    expect(orders).not.toEqual(billing);
    expect(orders).toHaveLength(1);
  });

  test("leave the receiver its deadline and its own limit of concurrency", () => {
    for (const service of [find("Service", "orders"), ...cloudRun]) {
      const [spec] = valuesOf("template", service).flatMap((template) => valuesOf("spec", template));

      expect(spec).toMatchObject({
        containerConcurrency: expect.toSatisfy((requests: number) => requests > 0 && requests <= 100),
        timeoutSeconds: expect.toSatisfy((seconds: number) => seconds > 30),
      });
    }
  });

  test("probe the port and the path that the service has", () => {
    for (const service of [find("Service", "orders"), ...cloudRun]) {
      expect(valuesOf("containerPort", service)).toEqual([8080]);
      expect(valuesOf("port", service).filter((port) => port !== 8080)).toEqual([]);
      expect(valuesOf("path", service)).toEqual(["/healthz"]);
    }
    expect(server).toContain('portOf(PORT || "8080")');
  });
});

describe("a manifest that is wrong is found:", () => {
  test.each([
    ["a field that is misspelt", "deadLetterSink", "deadLetterSinks", "additional properties"],
    ["a number in quotes", "retry: 12", 'retry: "12"', "must be integer"],
    ["a policy that there is not", "backoffPolicy: exponential", "backoffPolicy: fibonacci", "must be equal to one of"],
    ["a duration that is none", "backoffDelay: PT0.5S", "backoffDelay: 500ms", "must match pattern"],
    [
      "an older version of the API",
      "apiVersion: eventing.knative.dev/v1",
      "apiVersion: eventing.knative.dev/v1beta1",
      "must be equal to constant",
    ],
    ["a part that is missing", "  broker: shop", "  # broker: shop", "required property 'broker'"],
    ["an attribute that CloudEvents cannot have", "      type: shop", "      Order-Type: shop", "property name must be valid"],
  ])("%s", (_, right, wrong, problem) => {
    const [trigger] = parseManifests(changed("trigger.yaml", right, wrong));

    expect(validate("trigger.json", trigger).join("\n")).toContain(problem);
  });

  test.each([
    ["a variable that Knative keeps for itself", "name: LOG_LEVEL", "name: PORT"],
    ["a value that is no text", "value: info", "value: 3"],
    ["a probe without a way to probe", "tcpSocket:\n              port: 8080", "failureThreshold: 3"],
    ["a name that is none", "name: orders", "name: Orders"],
  ])("%s", (_, right, wrong) => {
    const [service] = parseManifests(changed("service.yaml", right, wrong));

    expect(validate("service.json", service)).not.toEqual([]);
  });

  test.each([
    ["trigger.yaml", "  broker: shop", "  broker: store", "Trigger orders: Broker store"],
    ["trigger.yaml", "      kind: Service\n      name: orders", "      kind: Service\n      name: order", "Trigger orders: Service order"],
    ["sink-binding.yaml", "    name: orders\n  sink", "    name: order\n  sink", "SinkBinding orders: Service order"],
    ["ping-source.yaml", "namespace: shop", "namespace: other", "PingSource orders-sweep: Service orders"],
    ["service.yaml", "serviceAccountName: orders", "serviceAccountName: order", "Service orders: ServiceAccount order"],
    ["kafka-source.yaml", "name: dead-letters", "name: dead-letter", "KafkaSource orders: Service dead-letter"],
  ])("in %s, %j in the place of %j", (file, right, wrong, problem) => {
    const [wronged] = parseManifests(changed(file, right, wrong));

    expect(danglingReferences([...manifests, ...(wronged === undefined ? [] : [wronged])])).toEqual([problem]);
  });

  test("text that is no YAML", () => {
    expect(() => parseManifests("kind: [Service")).toThrow(/line 1/);
  });
});

describe("the image of examples/03-knative", () => {
  test("runs the Node that the project is tested on, and not as root", () => {
    const node = readManifest(join(projectRoot, "package.json")).devDependencies?.["node"];
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base);

    expect(bases.length).toBeGreaterThan(1);
    expect(new Set(bases)).toEqual(new Set([`node:${node}-bookworm-slim`]));
    // A cluster can tell only of a number that it is not root.
    expect(dockerfile).toMatch(/^USER [1-9]\d*$/m);
    expect(dockerfile).toMatch(/^ENV .*\bHOST=0\.0\.0\.0\b/m);
  });

  test("copies what is there, and all that the service imports", () => {
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources = ""]) => sources.split(" "));
    const imported = [...`${server}${pipeline}`.matchAll(/from "\.\/(.+)"/g)].map(([, file]) => `examples/01-orders/${file}`);

    expect(copied.filter((path) => !existsSync(join(projectRoot, path)))).toEqual([]);
    expect(copied).toEqual(expect.arrayContaining(["examples/01-orders/server.ts", "examples/01-orders/source.ts", ...imported]));
  });

  test("installs what the service imports, in the versions that the project is tested with", () => {
    const packages = findPackages();
    const own = packages.map(({ manifest }) => [manifest.name, manifest.version]);
    const tested = { ...Object.assign({}, ...packages.map(({ manifest }) => manifest.devDependencies)), ...Object.fromEntries(own) };
    const { dependencies }: { readonly dependencies: Readonly<Record<string, string>> } = JSON.parse(
      readFileSync(join(folder, "package.json"), "utf8"),
    );

    expect(Object.keys(dependencies)).toEqual(expect.arrayContaining([...importedPackages(server), ...importedPackages(pipeline)]));
    expect(dependencies).toEqual(Object.fromEntries(Object.keys(dependencies).map((name) => [name, tested[name]])));
  });
});

function find(kind: string, name: string): Manifest {
  const found = manifests.find((manifest) => manifest.kind === kind && manifest.metadata.name === name);
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
  return found;
}

function variablesOf(service: Manifest): readonly { readonly name: string; readonly value: string }[] {
  return valuesOf("env", service).flatMap((variables) => (Array.isArray(variables) ? variables : []));
}

/** A file with its first `right` made wrong. */
function changed(file: string, right: string, wrong: string): string {
  const text = readFileSync(join(folder, "manifests", file), "utf8");
  if (!text.includes(right)) throw new Error(`${file} does not hold ${right}`);
  return text.replace(right, wrong);
}
