import { mqttConnection, type MqttConnectionOptions } from "@event-driver/mqtt";
import { describe, expect, test } from "vitest";

import { addressOf, nativeOf, settingsOf } from "../src/options.ts";

const url = "mqtt://localhost";

describe("the options of a connection", () => {
  test("have defaults, and times as MQTT counts them", () => {
    expect(settingsOf({ url })).toMatchObject({
      urls: [url],
      clientId: "event-driver",
      qos: 1,
      sessionExpiry: 604_800,
      takeOverAfter: 15_000,
      connectTimeout: 10_000,
    });
    expect(settingsOf({ url, sessionExpiry: 60_001 }).sessionExpiry).toBe(61);
    expect(settingsOf({ url, sessionExpiry: Infinity }).sessionExpiry).toBeLessThan(0xffff_ffff);
  });

  test("say where the broker is without what a URL says of users", () => {
    const { place } = settingsOf({ url: ["mqtt://user:secret@one:1884", "wss://user:secret@two/path?token=secret"] });

    expect(place).toBe("mqtt://one:1884, wss://two");
  });

  test("sign in as the URL says, unescaped, and clientOptions have the last word", () => {
    const urls = ["mqtts://an%40n:a%3Ab%3Ac@one", "mqtts://bob:other@two"];

    expect(settingsOf({ url: urls }).clientOptions).toEqual({ username: "an@n", password: "a:b:c" });
    expect(settingsOf({ url: urls, clientOptions: { password: "better" } }).clientOptions).toEqual({
      username: "an@n",
      password: "better",
    });
    expect(settingsOf({ url: "mqtt://one" }).clientOptions).toEqual({});
    expect(addressOf("mqtts://ann:secret@one:1/path?a=b")).toBe("mqtts://one:1/path?a=b");
  });

  const refused: readonly (readonly [option: string, given: object])[] = [
    ["url", { url: "http://user:secret@localhost" }],
    ["url", { url: "secret" }],
    ["url", { url: [] }],
    ["url", { url: undefined }],
    ["url", { url: "mqtt://localhost?clientId=secret" }],
    ["url", { url: "mqtt://ann:secret%@localhost" }],
    ["clientOptions", { clientOptions: null }],
    ["clientId", { clientId: "" }],
    ["clientId", { clientId: "a/b" }],
    ["clientId", { clientId: "a".repeat(65) }],
    ["qos", { qos: 0 }],
    ["retain", { retain: true }],
    ["sessionExpiry", { sessionExpiry: 59_999 }],
    ["sessionExpiry", { sessionExpiry: Number.NaN }],
    ["takeOverAfter", { takeOverAfter: 0 }],
    ["takeOverAfter", { takeOverAfter: Infinity }],
    ["connectTimeout", { connectTimeout: -1 }],
    ["mode", { mode: "both" }],
    ["publishBuffer", { publishBuffer: 0 }],
  ];

  test.each(refused)("are refused at once and by name when %s is not allowed: %j", async (option, given) => {
    const options: MqttConnectionOptions = { url, ...given };

    const refusal = await mqttConnection(options).catch((error: unknown) => error);

    expect(refusal).toMatchObject({ code: "ERR_INVALID_OPTION", retryable: false });
    expect(String(refusal)).toContain(`: ${option} is `);
    expect(String(refusal)).not.toContain("secret");
  });
});

describe("what is asked of a subscription beyond what every broker has", () => {
  test.each(["a", "a/b", "+/b/#", "#", "/", "$SYS/#"])("may be the topic filter %j", (filter) => {
    expect(nativeOf({ filter }, false)).toEqual({ filter, retained: false });
  });

  test.each(["", "a+", "a#/b", "#/a", "a\0", "$share/group/a"])("may not be the topic filter %j", (filter) => {
    expect(() => nativeOf({ filter }, false)).toThrow("native.filter");
  });
});
