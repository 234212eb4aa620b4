import { randomUUID } from "node:crypto";
import { type GcsEventStore, gcsEventStore } from "@event-driver/google-cloud/storage";
import { expect, onTestFinished } from "vitest";

import { type FaultProxy, faultProxy, type ProxiedRequest } from "../fault-proxy.ts";
import { services } from "../services.ts";
import { type Network, networkTo } from "./gcs-network.ts";

/** A bucket of its own for a test, as several processes reach it: far away, by connections that may break, at a service that may refuse. */
export interface FarBucket {
  /** The address for the services' `STORE`. */
  readonly store: string;
  /** What their requests come through first. */
  readonly network: Network;
  /** What they come through then. It takes one write a second of each object, and answers 429 to more. */
  readonly service: FaultProxy;
  /** The same orders, seen from beside the bucket. */
  readonly near: GcsEventStore;
}

/** Everything of it is gone with the test, but for the bucket itself. */
export async function farBucket(): Promise<FarBucket> {
  const bucket = await newBucket();
  const service = await faultProxy({ upstream: services.gcs.url });
  onTestFinished(() => service.close());
  service.answer({ key: nameWritten, interval: 1_000 });
  const network = await networkTo(service.url);
  const near = gcsEventStore({ bucket, folder, apiEndpoint: services.gcs.url });
  onTestFinished(() => near.close());
  return { store: addressOf(bucket, network.url), network, service, near };
}

/** A bucket that nobody else uses; resolves to its name. */
export async function newBucket(): Promise<string> {
  const name = `kills-${randomUUID()}`;
  const made = await fetch(`${services.gcs.url}/storage/v1/b?project=test`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name }),
  });
  expect(made.status).toBe(200);
  return name;
}

export function addressOf(bucket: string, apiEndpoint: string): string {
  return `gcs:${bucket}/${folder}?apiEndpoint=${apiEndpoint}`;
}

/** Resolves when nothing in the bucket is due within the next hour: no emission is open, and the state of ended joins is kept for a day. */
export async function nothingLeftToSweep(store: GcsEventStore): Promise<void> {
  const due = (): Promise<unknown> => store.scope("joiner").listDue({ before: Date.now() + 3_600_000, limit: 100 });
  await expect.poll(due, { timeout: 40_000, interval: 200 }).toEqual([]);
}

/** The object that a request writes. */
function nameWritten({ method, path }: ProxiedRequest): string | undefined {
  return method === "POST" ? (new URL(path, services.gcs.url).searchParams.get("name") ?? undefined) : undefined;
}

const folder = "shop/orders";
