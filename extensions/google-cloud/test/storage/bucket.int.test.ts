import type { Clock } from "event-driver";

import { virtualClock } from "event-driver/testing";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";

import type { FaultProxy, FaultRule, ProxiedRequest } from "../../../../test/fault-proxy.ts";
import type { ListPage, PutObject } from "../../src/storage/bucket.ts";

import { faultProxy } from "../../../../test/fault-proxy.ts";
import { services, suiteWith } from "../../../../test/services.ts";
import { noGeneration } from "../../src/storage/bucket.ts";
import { advanceUntil, bucketOn, newBucket, storageOn } from "./emulated-bucket.ts";

beforeEach(() => void vi.stubEnv("METADATA_SERVER_DETECTION", "none"));

const suite = await suiteWith("gcs");

suite("a bucket", () => {
  test("keeps what is put into it, with its metadata and its custom time", async () => {
    const name = await newBucket();
    const bucket = bucketOn(name);

    const generation = await bucket.put(object({ bytes: Uint8Array.of(0, 0xff, 10), metadata: { note: "kept" }, customTime: 1_000 }));

    expect(await bucket.get("a/b", 3)).toMatchObject({ bytes: Buffer.from([0, 0xff, 10]), generation });
    expect(await bucket.head("a/b")).toMatchObject({ name: "a/b", generation, metadata: { note: "kept", token: "mine" } });
    const [resource] = await storageOn().bucket(name).file("a/b").getMetadata();
    expect(resource.customTime).toBe("1970-01-01T00:00:01Z");
  });

  test("tells when an object was written and when it was read, on the service's clock", async () => {
    const bucket = bucketOn(await newBucket());
    const before = Date.now();

    await bucket.put(object());
    const { modifiedAt = 0, answeredAt = 0 } = (await bucket.get("a/b", 10)) ?? {};

    expect(modifiedAt).toBeGreaterThan(before - 1_000);
    expect(answeredAt).toBeGreaterThanOrEqual(modifiedAt);
    expect((await bucket.head("a/b"))?.updatedAt).toBeGreaterThanOrEqual(before - 1);
  });

  test("has no content and no metadata of what is not there", async () => {
    const bucket = bucketOn(await newBucket());

    expect(await bucket.get("a/b", 10)).toBeUndefined();
    expect(await bucket.head("a/b")).toBeUndefined();
  });

  test("replaces only the generation that is expected", async () => {
    const bucket = bucketOn(await newBucket());
    const first = (await bucket.put(object({ token: "first" }))) ?? "";

    const second = await bucket.put(object({ token: "second", expected: first }));

    expect(second).toMatch(/^\d+$/);
    expect(await bucket.put(object({ token: "third", expected: first }))).toBeUndefined();
    expect(await bucket.put(object({ token: "fourth" }))).toBeUndefined();
    expect((await bucket.head("a/b"))?.generation).toBe(second);
  });

  test("removes an object, and what is not there has been removed", async () => {
    const bucket = bucketOn(await newBucket());
    const generation = (await bucket.put(object())) ?? "";

    expect(await bucket.remove("a/b", generation)).toBe(true);
    expect(await bucket.remove("a/b", generation)).toBe(true);
    expect(await bucket.head("a/b")).toBeUndefined();
  });

  test("is listed page by page, from and up to a name, by delimiter", async () => {
    const bucket = bucketOn(await newBucket());
    for (const name of ["a/1", "a/2", "a/3", "ab/1", "b/1"]) await bucket.put(object({ name }));

    expect(await namesOf(bucket.list({ prefix: "a/", pageSize: 2 }))).toEqual([["a/1", "a/2"], ["a/3"]]);
    expect(await namesOf(bucket.list({ prefix: "", startOffset: "a/2", endOffset: "b/" }))).toEqual([["a/2", "a/3", "ab/1"]]);
    const [page] = await pagesOf(bucket.list({ prefix: "", delimiter: "/" }));
    expect(page?.prefixes).toEqual(["a/", "ab/", "b/"]);
  });

  test("refuses to read an object that is larger than the limit", async () => {
    const bucket = bucketOn(await newBucket());
    await bucket.put(object({ name: "a/1", bytes: new Uint8Array(1_001) }));
    await bucket.put(object({ name: "a/2", bytes: new Uint8Array(5_000_000) }));

    for (const name of ["a/1", "a/2"]) {
      await expect(bucket.get(name, 1_000)).rejects.toMatchObject({ code: "ERR_TOO_LARGE", retryable: false });
    }
  });

  test("puts an object that was refused for coming too soon again, one second after the write before it", async () => {
    const clock = virtualClock();
    const proxy = await newProxy(clock);
    const rule = proxy.answer({ key: nameWritten, interval: 1_000 });
    const bucket = bucketOn(await newBucket(), { apiEndpoint: proxy.url, autoRetry: false, clock });
    const first = (await bucket.put(object({ token: "first" }))) ?? "";

    const second = bucket.put(object({ token: "second", expected: first }));
    await vi.waitUntil(() => rule.hits === 1 && clock.pending === 2);
    await clock.advance(1_100);

    expect(await second).toMatch(/^\d+$/);
    expect(rule.hits).toBe(1);
  });

  test("gives up a write that is refused until its time is over", async () => {
    const clock = virtualClock();
    const proxy = await newProxy();
    const rule = proxy.answer({ status: 429 });
    const bucket = bucketOn(await newBucket(), { apiEndpoint: proxy.url, autoRetry: false, clock, timeout: 5_000 });

    const refused = bucket.put(object());
    const [outcome] = await Promise.allSettled([refused, advanceUntil(clock, Promise.allSettled([refused]))]);

    expect(outcome).toMatchObject({ status: "rejected", reason: { code: "ERR_STORE_UNAVAILABLE", retryable: true } });
    expect(rule.hits).toBeGreaterThan(1);
  });

  test.each([true, false])("recognises its own write by its token when the answer was lost, with autoRetry %s", async (autoRetry) => {
    const proxy = await newProxy();
    const bucket = bucketOn(await newBucket(), { apiEndpoint: proxy.url, autoRetry });
    const cut = proxy.answer({ when: ({ method }) => method === "POST", cut: "after", times: 1 });

    const inserted = (await bucket.put(object({ token: "one" }))) ?? "";
    cut.withdraw();
    proxy.answer({ when: ({ method }) => method === "POST", cut: "after", times: 1 });
    const replaced = await bucket.put(object({ token: "two", expected: inserted }));

    expect(replaced).toBeDefined();
    expect(replaced).not.toBe(inserted);
    expect(await bucket.head("a/b")).toMatchObject({ generation: replaced, metadata: { token: "two" } });
  });

  test("reports a conflict when the answer was lost and another's write is there instead", async () => {
    const name = await newBucket();
    const proxy = await newProxy();
    const bucket = bucketOn(name, { apiEndpoint: proxy.url, autoRetry: false });
    await bucketOn(name).put(object({ token: "another" }));
    proxy.answer({ when: ({ method }) => method === "POST", cut: "after", times: 1 });

    expect(await bucket.put(object({ token: "mine" }))).toBeUndefined();
  });

  test("reports no conflict when the answer was lost and a later write is there: it may have replaced this one", async () => {
    const name = await newBucket();
    const clock = virtualClock();
    const proxy = await newProxy(clock);
    const direct = bucketOn(name);
    const bucket = bucketOn(name, { apiEndpoint: proxy.url, autoRetry: false });
    const first = (await direct.put(object({ token: "first" }))) ?? "";
    proxy.answer({ when: ({ method }) => method === "POST", cut: "after", times: 1 });
    const readBack = proxy.answer({ when: ({ method }) => method === "GET", delay: 1 });

    const [outcome] = await Promise.allSettled([
      bucket.put(object({ token: "mine", expected: first })),
      (async () => {
        await vi.waitUntil(() => readBack.hits === 1);
        const own = await direct.head("a/b");
        await direct.put(object({ token: "later", expected: own?.generation ?? "" }));
        await clock.advance(1);
      })(),
    ]);

    expect(outcome).toMatchObject({ status: "rejected", reason: { code: "ERR_STORE_UNAVAILABLE", retryable: true } });
  });

  test("reports that it does not know when the write did not land and cannot be read back", async () => {
    const proxy = await newProxy();
    const bucket = bucketOn(await newBucket(), { apiEndpoint: proxy.url, autoRetry: false });
    proxy.answer({ cut: "before" });

    await expect(bucket.put(object())).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", retryable: true });
  });

  test("sends a removal with the generation that it expects", async () => {
    const proxy = await newProxy();
    const bucket = bucketOn(await newBucket(), { apiEndpoint: proxy.url });

    await bucket.remove("a/b", "12345678901234567890");

    expect(proxy.requests.at(-1)).toMatchObject({ method: "DELETE" });
    expect(proxy.requests.at(-1)?.path).toContain("ifGenerationMatch=12345678901234567890");
  });

  test("reports a conflict when the service refuses a removal", async () => {
    const proxy = await newProxy();
    const bucket = bucketOn(await newBucket(), { apiEndpoint: proxy.url });
    proxy.answer({ status: 412 });

    expect(await bucket.remove("a/b", "1")).toBe(false);
  });

  test("gives up at once when the signal aborts mid-request, and knows of the request until it is over", async () => {
    const clock = virtualClock();
    const proxy = await newProxy(clock);
    const bucket = bucketOn(await newBucket(), { apiEndpoint: proxy.url });
    const held = proxy.answer({ delay: 1 });
    const controller = new AbortController();
    const reason = new Error("given up");

    const put = bucket.put(object(), controller.signal);
    await vi.waitUntil(() => held.hits === 1);
    controller.abort(reason);

    await expect(put).rejects.toBe(reason);
    const settled = bucket.settled();
    const early = await Promise.race([settled.then(() => "settled"), new Promise((resolve) => setImmediate(resolve, "on its way"))]);
    expect(early).toBe("on its way");
    await clock.advance(1);
    await settled;
  });

  test("gives up a read at once too, and its answer that comes later harms nobody", async () => {
    const clock = virtualClock();
    const proxy = await newProxy(clock);
    const bucket = bucketOn(await newBucket(), { apiEndpoint: proxy.url });
    await bucket.put(object({ bytes: new Uint8Array(5_000_000) }));
    const held = proxy.answer({ delay: 1 });
    const controller = new AbortController();
    const reason = new Error("given up");

    const read = bucket.get("a/b", 5_000_000, controller.signal);
    await vi.waitUntil(() => held.hits === 1);
    controller.abort(reason);
    await expect(read).rejects.toBe(reason);
    held.withdraw();
    await clock.advance(1);

    expect((await bucket.get("a/b", 5_000_000))?.bytes.length).toBe(5_000_000);
  });

  test("gives up when an operation's time is over", async () => {
    const proxy = await newProxy(virtualClock());
    const bucket = bucketOn(await newBucket(), { apiEndpoint: proxy.url, timeout: 50 });
    proxy.answer({ delay: 1 });

    const error = { code: "ERR_STORE_UNAVAILABLE", retryable: true };
    await expect(bucket.put(object())).rejects.toMatchObject(error);
    await expect(bucket.get("a/b", 10)).rejects.toMatchObject(error);
    await expect(bucket.head("a/b")).rejects.toMatchObject(error);
    await expect(bucket.remove("a/b", "1")).rejects.toMatchObject(error);
    await expect(pagesOf(bucket.list({ prefix: "" }))).rejects.toMatchObject(error);
    await bucket.settled();
  });

  test.each([
    [401, "ERR_STORE_FAILED", false],
    [403, "ERR_STORE_FAILED", false],
    [400, "ERR_STORE_FAILED", true],
    [429, "ERR_STORE_UNAVAILABLE", true],
    [503, "ERR_STORE_UNAVAILABLE", true],
  ])("tells of status %i as %s, retryable %s", async (status, code, retryable) => {
    const proxy = await newProxy();
    // Only a write that is refused for its rate is sent again until its time is over.
    const timeout = status === 429 ? 5_000 : 30_000;
    const bucket = bucketOn(await newBucket(), { apiEndpoint: proxy.url, autoRetry: false, timeout });
    proxy.answer({ status });

    const calls = [bucket.head("a/b"), bucket.get("a/b", 10), pagesOf(bucket.list({ prefix: "" })), bucket.put(object())];

    for (const outcome of await Promise.allSettled(calls))
      expect(outcome).toMatchObject({ status: "rejected", reason: { code, retryable } });
  });

  test.each<[string, FaultRule]>([
    ["the service is out of order", { status: 503, times: 2 }],
    ["the connection breaks", { cut: "before", times: 2 }],
  ])("is read, listed and written again by the client's rules when %s", async (_what, fault) => {
    const proxy = await newProxy();
    const bucket = bucketOn(await newBucket(), { apiEndpoint: proxy.url });
    const outcomes: unknown[] = [];

    for (const call of [
      () => bucket.put(object()),
      async () => (await bucket.get("a/b", 10))?.bytes.toString(),
      async () => (await bucket.head("a/b"))?.name,
      () => namesOf(bucket.list({ prefix: "" })),
      () => bucket.remove("a/b", "1"),
    ]) {
      const rule = proxy.answer(fault);
      outcomes.push(await call());
      expect(rule.hits).toBe(2);
      rule.withdraw();
    }

    expect(outcomes).toEqual([expect.stringMatching(/^\d+$/), "content", "a/b", [["a/b"]], true]);
  });

  test("is checked: one that is missing is found, and one that is there is fine", async () => {
    await bucketOn(await newBucket()).check("");

    await expect(bucketOn("no-such-bucket").check("")).rejects.toMatchObject({ code: "ERR_STORE_FAILED", retryable: false });
  });

  test("is checked: a missing permission is named", async () => {
    const proxy = await newProxy();
    const body = JSON.stringify({ permissions: ["storage.objects.get", "storage.objects.list", "storage.objects.create"] });
    proxy.answer({
      when: ({ path }) => path.includes("testPermissions"),
      status: 200,
      headers: { "content-type": "application/json" },
      body,
    });

    const checking = bucketOn(await newBucket(), { apiEndpoint: proxy.url }).check("");

    await expect(checking).rejects.toThrow("lacks storage.objects.delete; grant its account roles/storage.objectUser");
  });
});

function object(given: Partial<PutObject> = {}): PutObject {
  return { name: "a/b", bytes: Buffer.from("content"), expected: noGeneration, token: "mine", ...given };
}

async function newProxy(clock?: Clock): Promise<FaultProxy> {
  const proxy = await faultProxy({ upstream: services.gcs.url, ...(clock && { clock }) });
  onTestFinished(() => proxy.close());
  return proxy;
}

function nameWritten({ method, path }: ProxiedRequest): string | undefined {
  return method === "POST" ? (new URL(path, services.gcs.url).searchParams.get("name") ?? undefined) : undefined;
}

async function namesOf(pages: AsyncIterable<ListPage>): Promise<readonly string[][]> {
  return (await pagesOf(pages)).map(({ objects }) => objects.map(({ name }) => name));
}

async function pagesOf(pages: AsyncIterable<ListPage>): Promise<readonly ListPage[]> {
  const found: ListPage[] = [];
  for await (const page of pages) found.push(page);
  return found;
}
