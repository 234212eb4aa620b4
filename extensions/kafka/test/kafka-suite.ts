import { readFileSync } from "node:fs";
import { describe } from "vitest";

import { type ServiceName, suiteWith } from "../../../test/services.ts";

/** Vitest's `describe` for tests that need servers and the client, which asks for a newer Node than the rest of the project. */
export async function kafkaSuite(...names: readonly ServiceName[]): Promise<typeof describe.skip> {
  const asked = oldestNode();
  if (isAtLeast(process.versions.node, asked)) return suiteWith(...names);
  process.stderr.write(`skipped: the client of @event-driver/kafka asks for Node ${asked}, this is ${process.versions.node}\n`);
  return describe.skip;
}

/** What the package's `engines` say. */
function oldestNode(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  const version = /"node":">=([\d.]+)"/.exec(JSON.stringify(manifest))?.[1];
  if (version === undefined) throw new Error("package.json says nothing of the oldest Node");
  return version;
}

function isAtLeast(version: string, oldest: string): boolean {
  const [given, asked] = [version, oldest].map((text) => text.split(".").map(Number));
  for (const [index, part] of (asked ?? []).entries()) {
    const difference = (given?.[index] ?? 0) - part;
    if (difference !== 0) return difference > 0;
  }
  return true;
}
