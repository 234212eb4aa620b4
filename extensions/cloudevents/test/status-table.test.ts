import { type EndReason, EventDriverError, pipeline, RetryAfterError, TerminalError, TimeoutError } from "event-driver";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

import { fetchHandler, type FetchHandlerOptions } from "../src/receive/fetch-handler.ts";
import { isRetriedStatus } from "../src/receive/status.ts";
import { batch, binary, eventText, failing, plain, recording, reply, structured } from "./requests.ts";

type Case = () => Promise<Response>;

const { pipeline: fine } = recording();

/** How to bring about each outcome of the README's table, by the words its row begins with. */
const cases: Readonly<Record<string, readonly Case[]>> = {
  "done, with a reply": [() => answer(pipeline().use(async (ctx) => ctx.reply(reply("r"))))],
  done: [() => answer(fine)],
  "ended early": (["duplicate", "superseded", "late", "filtered"] as const).map((reason) => () => answer(ending(reason))),
  "kept by a joiner": [() => answer(ending("waiting"))],
  "not a CloudEvent": [
    () => answer(fine, binary({ id: undefined })),
    () => answer(fine, structured("{}")),
    () => answer(fine, binary({ key: undefined })),
    () =>
      answer(fine, binary(), { toMessage: () => raise(new EventDriverError("ERR_INVALID_MESSAGE", { message: "no", retryable: false })) }),
  ],
  "an event at another path": [() => answer(fine, binary(), { path: "/events" })],
  "`authenticate` does not know": [() => answer(fine, binary(), { authenticate: () => ({ accepted: false, status: 401 }) })],
  "`authenticate` does not allow": [
    () => answer(fine, binary(), { authenticate: () => ({ accepted: false, status: 403 }) }),
    () => answer(fine, plain("OPTIONS", "/", { "webhook-request-origin": "a.test" }), { allowedOrigins: ["b.test"] }),
  ],
  "not POST": [() => answer(fine, plain("PUT"))],
  "body or batch too large": [
    () => answer(fine, binary(), { bodyBytes: 1 }),
    () => answer(fine, batch(eventText(), eventText()), { batchEvents: 1 }),
  ],
  "an event format other than JSON": [
    () => answer(fine, structured("", "application/cloudevents+avro")),
    () => answer(fine, new Request(binary(), { headers: { ...Object.fromEntries(binary().headers), "content-encoding": "gzip" } })),
  ],
  "the pipeline failed terminally": [
    () => answer(failing(new TerminalError("no"))),
    () => answer(failing(new EventDriverError("ERR_CRASHED", { message: "no", retryable: false }))),
    () => answer(failing(new EventDriverError("ERR_INVALID_MESSAGE", { message: "no", retryable: false }))),
  ],
  "the request did not arrive whole": [
    () => answer(fine, binary({}, new ReadableStream({ start: (controller) => controller.error(new Error("reset")) }))),
  ],
  "being processed elsewhere": [() => answer(failing(new EventDriverError("ERR_IN_PROGRESS", { message: "no", retryable: true })))],
  "the handler asks for a pause": [() => answer(failing(new RetryAfterError("no", { retryAfter: 1_500 })))],
  "the pipeline failed retryably": [
    () => answer(failing(new Error("no"))),
    () => answer(failing(new EventDriverError("ERR_STORE_UNAVAILABLE", { message: "no", retryable: true }))),
  ],
  "draining, or too much to do": [() => answer(failing(new EventDriverError("ERR_OVERLOADED", { message: "no", retryable: true })))],
  "`authenticate` cannot have the keys": [
    () =>
      answer(fine, binary(), {
        authenticate: () => raise(new EventDriverError("ERR_KEYS_UNAVAILABLE", { message: "no", retryable: true })),
      }),
  ],
  "not done by the deadline": [() => answer(failing(new TimeoutError("no")))],
};

const rows = tableRows(readFileSync(new URL("../README.md", import.meta.url), "utf8"));

describe("each row of the README's table of outcomes is true", () => {
  test.each(rows)("$outcome: $status", async ({ outcome, status, retried, retryAfter }) => {
    const [words, ...others] = Object.keys(cases).filter((each) => outcome === each || (each !== "done" && outcome.startsWith(each)));
    if (words === undefined || others.length > 0) throw new Error(`no one case for the row "${outcome}"`);

    for (const bringAbout of cases[words] ?? []) {
      const response = await bringAbout();

      expect(response.status).toBe(status);
      expect(isRetriedStatus(response.status)).toBe(retried);
      expect(response.headers.has("retry-after")).toBe(retryAfter);
    }
  });
});

test("the table has a row for every case", () => {
  expect(rows).toHaveLength(Object.keys(cases).length);
});

test("a pause is rounded up to whole seconds", async () => {
  expect((await answer(failing(new RetryAfterError("no", { retryAfter: 1_500 })))).headers.get("retry-after")).toBe("2");
  expect((await answer(failing(new RetryAfterError("no", { retryAfter: 0 })))).headers.get("retry-after")).toBe("1");
});

function answer(
  orders: Parameters<typeof fetchHandler>[0],
  request: Request = binary(),
  options: FetchHandlerOptions = {},
): Promise<Response> {
  return fetchHandler(orders, options)(request);
}

function ending(reason: EndReason): Parameters<typeof fetchHandler>[0] {
  return pipeline().use(async (ctx) => ctx.ended(reason));
}

function raise(error: Error): never {
  throw error;
}

interface Row {
  readonly outcome: string;
  readonly status: number;
  readonly retried: boolean;
  readonly retryAfter: boolean;
}

function tableRows(readme: string): readonly Row[] {
  const table = /\| outcome \| status \| sent again \|\n\|[-|]+\|\n((?:\|.*\n)+)/.exec(readme)?.[1] ?? "";
  return table
    .trim()
    .split("\n")
    .map((line) => {
      const [, outcome = "", status = "", again = ""] = line.split("|").map((cell) => cell.trim());
      return { outcome, status: Number(status), retried: again === "yes", retryAfter: outcome.includes("with `Retry-After`") };
    });
}
