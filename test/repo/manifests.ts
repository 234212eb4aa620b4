import { Ajv, type ValidateFunction } from "ajv";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";

/** One object of a cluster, as far as the checks read it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: unknown;
}

/** What one object says of another: `spec.sink.ref` of a source, `spec.broker` of a trigger ... */
interface Reference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

/** @throws Error with the place of what is not YAML */
export function parseManifests(text: string): readonly Manifest[] {
  return parseAllDocuments(text).map((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.toJS();
  });
}

/** Every object of every file of a folder. */
export function readManifests(folder: string): readonly Manifest[] {
  return globSync("*.yaml", { cwd: folder })
    .toSorted()
    .flatMap((file) => parseManifests(readFileSync(join(folder, file), "utf8")));
}

/** Checks by the schemas of a folder. Gives what is wrong with a manifest, one line each; nothing where it is right. */
export function manifestValidator(folder: string): (schema: string, manifest: unknown) => readonly string[] {
  const ajv = new Ajv({ allErrors: true, strictRequired: false });
  for (const file of globSync("*.json", { cwd: folder })) ajv.addSchema(JSON.parse(readFileSync(join(folder, file), "utf8")));
  return (schema, manifest) => {
    const validate: ValidateFunction | undefined = ajv.getSchema(schema);
    if (validate === undefined) return [`there is no schema ${schema}`];
    return validate(manifest)
      ? []
      : (validate.errors ?? []).map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`);
  };
}

/** The schema of a kind: `KafkaSource` has `kafka-source.json`. */
export function schemaOf({ kind }: Manifest): string {
  return `${kind.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase()}.json`;
}

/** References of these objects to none of them, as `KIND NAME: KIND NAME`. */
export function danglingReferences(manifests: readonly Manifest[]): readonly string[] {
  return manifests.flatMap((from) =>
    referencesOf(from)
      .filter((to) => !manifests.some((each) => isNamed(each, from, to)))
      .map((to) => `${from.kind} ${from.metadata.name}: ${to.kind} ${to.name}`),
  );
}

/** Every value of this name in an object, at any depth. */
export function valuesOf(name: string, value: unknown): readonly unknown[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, each]: [string, unknown]) => [...(key === name ? [each] : []), ...valuesOf(name, each)]);
}

function isNamed(manifest: Manifest, from: Manifest, { apiVersion, kind, name }: Reference): boolean {
  const { metadata } = manifest;
  return (
    manifest.apiVersion === apiVersion && manifest.kind === kind && metadata.name === name && metadata.namespace === from.metadata.namespace
  );
}

function referencesOf({ spec }: Manifest): readonly Reference[] {
  return [
    ...valuesOf("ref", spec).filter(isReference),
    ...valuesOf("subject", spec).filter(isReference),
    ...valuesOf("broker", spec).map((name) => ({ apiVersion: "eventing.knative.dev/v1", kind: "Broker", name: String(name) })),
    ...valuesOf("serviceAccountName", spec).map((name) => ({ apiVersion: "v1", kind: "ServiceAccount", name: String(name) })),
  ];
}

function isReference(value: unknown): value is Reference {
  return typeof value === "object" && value !== null && "apiVersion" in value && "kind" in value && "name" in value;
}
