import { pulsarConnection, type PulsarConnectionOptions } from "@event-driver/pulsar";
import { expect, test } from "vitest";

import { settingsOf } from "../src/options.ts";

const url = "pulsar+ws://localhost:8080";

test.each<[string, object]>([
  ["url", { url: undefined }],
  ["url", { url: [] }],
  ["url", { url: "localhost:8080" }],
  ["url", { url: "pulsar://localhost:6650" }],
  ["url", { url: "pulsar+ws://" }],
  ["adminUrl", { adminUrl: "localhost" }],
  ["adminUrl", { adminUrl: false, topology: "check" }],
  ["adminUrl", { adminUrl: false, partitions: 3 }],
  ["tenant", { tenant: "a/b" }],
  ["namespace", { namespace: "" }],
  ["token", { token: "" }],
  ["topology", { topology: "make" }],
  ["partitions", { partitions: 1.5 }],
  ["retention", { retention: 0 }],
  ["connectTimeout", { connectTimeout: Number.NaN }],
  ["heartbeat", { heartbeat: -1 }],
  ["lagInterval", { lagInterval: 0 }],
  ["deliverAt", { deliverAt: 5 }],
])("%s is refused by name where it is not allowed", async (option, given) => {
  // What callers without types may give.
  const options = Object.assign({ url }, given) satisfies object;

  await expect(pulsarConnection(options)).rejects.toMatchObject({
    code: "ERR_INVALID_OPTION",
    message: expect.stringContaining(`pulsarConnection: ${option} is`),
  });
});

test("an address with a secret in it is refused, and not shown", async () => {
  const error: unknown = await pulsarConnection({ url: "pulsar+ws://me:hidden@localhost:8080" }).catch((reason: unknown) => reason);

  expect(error).toMatchObject({ code: "ERR_INVALID_OPTION" });
  expect(String(error)).not.toContain("hidden");
});

test("the administration is at the same addresses unless it is said to be elsewhere, or nowhere", () => {
  const adminsOf = (options: Partial<PulsarConnectionOptions>): readonly string[] =>
    settingsOf({ url, ...options }).admins.map(({ href }) => href);

  expect(adminsOf({ url: ["pulsar+ws://a:1", "pulsar+wss://b:2/proxy"] })).toEqual(["http://a:1/", "https://b:2/proxy"]);
  expect(adminsOf({ adminUrl: "https://admin:8443" })).toEqual(["https://admin:8443/"]);
  expect(adminsOf({ adminUrl: false })).toEqual([]);
});
