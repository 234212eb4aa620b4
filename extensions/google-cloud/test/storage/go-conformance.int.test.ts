import type { EventStore } from "event-driver";

import { eventStoreKit } from "event-driver/testing";
import { beforeEach, expect, test, vi } from "vitest";
import { gcsEventStore, type GcsReadPolicy } from "@event-driver/google-cloud/storage";

import { services, suiteWith } from "../../../../test/services.ts";
import { newBucket } from "./emulated-bucket.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

const suite = await suiteWith("gcs");

/** What the layout cannot keep of the port's contract, and the tests of the kit that find it out. Each must fail, or it does not belong here. */
const exceptions: readonly (readonly [reason: string, titles: RegExp])[] = [
  [
    "a key or source that makes no name of an object, or another's, is refused",
    /^any string is a key .*: (the empty one|slashes|dots .*|white space .*|line ends|wildcards .*|lone surrogates|1,000 characters)$|^no key can reach/,
  ],
  [
    "attributes are not kept, and text must be such in UTF-8",
    /^a message comes back as it went in: (every part|random ones|attributes .*|.* lone surrogates)$/,
  ],
  [
    "a deadline is refused",
    /^listDue|^listKeys .*, whatever it is$|dueAt|^lookUpByKey gives all|sees it(, from any handle)?$|^concurrent persist|^storedAt and readAt|^an entry past its|^an expiresAt that/,
  ],
  ["there is one scope, which is the store itself", /^scope|^no name of a scope|^the same name|^calls after close|^closing a scope/],
];

suite("a bucket in the layout of Go", () => {
  const buckets = new WeakMap<EventStore, string>();
  const found = new Set<string>();
  const openOn = (bucket: string): EventStore => {
    const store = gcsEventStore({ bucket, apiEndpoint: services.gcs.url, layout: "go", readPolicy: lastWritten });
    buckets.set(store, bucket);
    return store;
  };

  eventStoreKit({
    test(title, run) {
      const [reason] = exceptions.find(([, titles]) => titles.test(title)) ?? [];
      const register = reason === undefined ? test : test.fails;
      register(reason === undefined ? title : `it does not hold, for ${reason}: ${title}`, run);
      if (reason !== undefined) found.add(reason);
    },
    open: async () => openOn(await newBucket()),
    openAnother: (first) => openOn(buckets.get(first) ?? "of no store"),
    features: { compareAndSet: false, clock: true },
    patience: 10_000,
  });

  test("every exception is one that the kit knows of", () => {
    expect([...found]).toEqual(exceptions.map(([reason]) => reason));
  });
});

/** As `lastCreated`, on a finer clock: creation times are told to the millisecond, and the emulator takes less for a write. */
const lastWritten: GcsReadPolicy = (objects) =>
  objects.toSorted((left, right) => Number(BigInt(left.generation) - BigInt(right.generation))).at(-1);
