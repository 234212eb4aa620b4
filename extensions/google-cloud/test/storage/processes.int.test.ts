import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { gcsEventStore } from "@event-driver/google-cloud/storage";

import { services, suiteWith } from "../../../../test/services.ts";
import { newBucket } from "./emulated-bucket.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

const suite = await suiteWith("gcs");

suite("a bucket that several processes use", () => {
  test("every order is claimed by one of them, no update is lost, and no revision is used again", async () => {
    const bucket = await newBucket();
    const names = ["a", "b", "c"];

    const reports = await Promise.all(names.map((name) => claimAndCount(bucket, name, 100, 20)));

    const winners = reports.flatMap(({ won }) => won);
    expect(winners.toSorted()).toEqual(Array.from({ length: 100 }, (_, index) => `order-${index}`).toSorted());
    expect(new Set(reports.flatMap(({ revisions }) => revisions)).size).toBe(100 + 3 * 20);
    const store = gcsEventStore({ bucket, apiEndpoint: services.gcs.url });
    onTestFinished(() => store.close());
    expect((await store.lookUp("counter", "count"))?.message.content).toBe("60");
    for (const [index, { won }] of reports.entries()) {
      for (const key of won) expect((await store.lookUp(key, "claim"))?.message.content).toBe(names[index]);
    }
  });
});

interface Report {
  readonly won: readonly string[];
  readonly revisions: readonly string[];
}

async function claimAndCount(bucket: string, name: string, orders: number, increments: number): Promise<Report> {
  const program = fileURLToPath(new URL("./children/claim-and-count.ts", import.meta.url));
  const given = [bucket, services.gcs.url, name, String(orders), String(increments)];
  const { stdout } = await promisify(execFile)(process.execPath, ["-C", "@event-driver/source", program, ...given]);
  return JSON.parse(stdout);
}
