import { describe } from "vitest";

import { isReachable, type ServiceName, services } from "../tools/services.ts";

export { type ServiceName, services } from "../tools/services.ts";

/**
 * Vitest's `describe` for tests that need servers. Where one of them does not answer, it is the one that skips, and the reason is printed.
 *
 * @throws Error where one that is not optional does not answer and `REQUIRE_SERVICES` is `1`, and where a variable is set that leads Google's clients astray
 * @example const suite = await suiteWith("gcs");
 *   suite("a bucket", () => { test("keeps what it is given", ...) });
 */
export async function suiteWith(...names: readonly ServiceName[]): Promise<typeof describe.skip> {
  refuseMisleadingVariables();
  const answers = await Promise.all(names.map((name) => isReachable(services[name].url)));
  const missing = names.filter((_, index) => !answers[index]);
  if (missing.length === 0) return describe;
  const reason = `no answer from ${missing.map(described).join(" and ")}; start it with scripts/services start`;
  if (process.env["REQUIRE_SERVICES"] === "1" && missing.some((name) => services[name].optional === undefined)) throw new Error(reason);
  process.stderr.write(`skipped: ${reason}\n`);
  return describe.skip;
}

/** Google's clients take these for their whole base URL, before what they are given, and then ask for paths that no server has. */
function refuseMisleadingVariables(): void {
  const set = ["STORAGE_EMULATOR_HOST", "BIGQUERY_EMULATOR_HOST"].filter((variable) => process.env[variable]);
  if (set.length > 0)
    throw new Error(`${set.join(" and ")} must not be set: the tests give the clients their addresses, and it breaks these`);
}

function described(name: ServiceName): string {
  const { url, optional } = services[name];
  return `${name} at ${url}${optional === undefined ? "" : ` (${optional})`}`;
}
