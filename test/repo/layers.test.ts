import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

import { checkLayers } from "../../tools/layers.ts";
import { temporaryFolder } from "./temporary-folder.ts";

test("each rule finds what breaks it, and nothing else is complained of", async () => {
  const root = project({
    "src/clock.ts": 'import type { P } from "./pipeline/pipeline.ts"; export type M = P;',
    "src/pipeline/compose.ts": 'import "../handlers/tap.ts";',
    "src/claims/steps.ts": 'import "../stores/memory-event-store.ts";',
    "src/handlers/a.ts": 'import "@event-driver/one";',
    "src/handlers/b.ts": 'import "../../extensions/one/src/index.ts";',
    "src/handlers/c.ts": 'import "../stores/memory-event-store.ts";',
    "src/handlers/d.ts": 'import "../testing/index.ts";',
    "src/handlers/e.ts": 'import "../index.ts";',
    "src/handlers/f.ts": 'import "node:fs";',
    "src/handlers/g.ts": 'import "./gone.ts";',
    "src/handlers/h.ts": 'import type { I } from "./i.ts"; export type H = I[];',
    "src/handlers/i.ts": 'import type { H } from "./h.ts"; export type I = H[];',
    "src/stores/other.ts": 'import "../claims/claim.ts";',
    "src/streams/a.ts": 'import "../handlers/tap.ts";',
    "extensions/one/src/a.ts": 'import "../../../src/message.ts";',
    "extensions/one/src/b.ts": 'import "../../../src/index.ts";',
    "extensions/one/src/c.ts": 'import "@event-driver/two";',
    "extensions/one/src/d.ts": 'import "event-driver/testing";',
    "extensions/one/test/e.ts": 'import "../../two/src/index.ts";',
    "extensions/google-cloud/src/functions/a.ts": 'import "@event-driver/two";',
    "extensions/google-cloud/src/storage/b.ts": 'import "../pubsub/b.ts";',
    "extensions/google-cloud/src/pubsub/b.ts": "export {};",
  });

  const { violations } = await checkLayers(root);

  expect(violations.toSorted()).toEqual([
    "claims-know-only-the-store-port: src/claims/steps.ts -> src/stores/memory-event-store.ts",
    "core-knows-no-extension: src/handlers/a.ts -> extensions/one/src/index.ts",
    "core-knows-no-extension: src/handlers/b.ts -> extensions/one/src/index.ts",
    "core-runs-anywhere: src/handlers/f.ts -> fs",
    "doors-of-google-cloud-stand-alone: extensions/google-cloud/src/storage/b.ts -> extensions/google-cloud/src/pubsub/b.ts",
    "entry-is-for-others: src/handlers/e.ts -> src/index.ts",
    "extensions-import-core-by-name: extensions/one/src/a.ts -> src/message.ts",
    "extensions-import-core-by-name: extensions/one/src/b.ts -> src/index.ts",
    "extensions-stand-alone: extensions/one/src/c.ts -> extensions/two/src/index.ts",
    "extensions-stand-alone: extensions/one/test/e.ts -> extensions/two/src/index.ts",
    "extensions-use-the-public-core: extensions/one/src/a.ts -> src/message.ts",
    "google-functions-receive-cloudevents: extensions/google-cloud/src/functions/a.ts -> extensions/two/src/index.ts",
    "ground-needs-nothing-above: src/clock.ts -> src/pipeline/pipeline.ts",
    "handlers-know-only-the-store-port: src/handlers/c.ts -> src/stores/memory-event-store.ts",
    "handlers-know-only-the-store-port: src/handlers/d.ts -> src/testing/index.ts",
    "no-cycles: src/handlers/h.ts -> src/handlers/i.ts -> src/handlers/h.ts",
    "nothing-unresolved: src/handlers/g.ts -> ./gone.ts",
    "pipeline-knows-no-handler: src/pipeline/compose.ts -> src/handlers/tap.ts",
    "product-needs-no-testing: extensions/one/src/d.ts -> src/testing/index.ts",
    "product-needs-no-testing: src/handlers/d.ts -> src/testing/index.ts",
    "stores-know-only-messages: src/stores/other.ts -> src/claims/claim.ts",
    "streams-know-no-handler: src/streams/a.ts -> src/handlers/tap.ts",
  ]);
});

test("what every layer may import is no violation", async () => {
  const root = project({});

  const { modules, violations } = await checkLayers(root);

  expect(violations).toEqual([]);
  expect(modules).toBe(12);
});

test("a tree in which nothing is read is told from one in which all is well", async () => {
  const root = temporaryFolder({ "src/readme.txt": "no module", "extensions/readme.txt": "no module" });

  const { modules } = await checkLayers(root);

  expect(modules).toBe(0);
});

/** A small project with one file in each layer, all of it in order but for what is planted. */
function project(planted: Readonly<Record<string, string>>): string {
  const root = temporaryFolder({
    "package.json": packageOf("event-driver", { ".": "./src/index.ts", "./testing": "./src/testing/index.ts" }),
    "src/index.ts": 'export * from "./message.ts"; export type { P } from "./pipeline/pipeline.ts";',
    "src/message.ts": "export const message = 1;",
    "src/pipeline/pipeline.ts": 'import "../message.ts"; import "../stores/event-store.ts"; export type P = 1;',
    "src/claims/claim.ts": 'import "../stores/event-store.ts";',
    "src/handlers/tap.ts": 'import "../claims/claim.ts"; import "../pipeline/pipeline.ts";',
    "src/stores/event-store.ts": 'import "../message.ts";',
    "src/stores/memory-event-store.ts": 'import "./event-store.ts"; import "../message.ts";',
    "src/streams/connection.ts": 'import "../message.ts"; import "../pipeline/pipeline.ts"; import "../stores/event-store.ts";',
    "src/testing/index.ts": 'import "../stores/memory-event-store.ts"; import "../streams/connection.ts";',
    "extensions/one/package.json": packageOf("@event-driver/one", { ".": "./src/index.ts" }),
    "extensions/one/src/index.ts": 'import "event-driver";',
    "extensions/one/test/one.ts": 'import "event-driver"; import "event-driver/testing";',
    "extensions/two/package.json": packageOf("@event-driver/two", { ".": "./src/index.ts" }),
    "extensions/two/src/index.ts": "export const two = 2;",
    ...planted,
  });
  mkdirSync(join(root, "node_modules/@event-driver"), { recursive: true });
  symlinkSync(root, join(root, "node_modules/event-driver"));
  for (const name of ["one", "two"]) symlinkSync(join(root, "extensions", name), join(root, "node_modules/@event-driver", name));
  return root;
}

function packageOf(name: string, exports: Readonly<Record<string, string>>): string {
  return JSON.stringify({ name, type: "module", exports });
}
