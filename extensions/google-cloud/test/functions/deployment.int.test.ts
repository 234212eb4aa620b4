import { expect, test } from "vitest";

import { eventText, header, post } from "./framework.ts";
import { start } from "./instance.ts";

test("a function that is registered as HTTP stays that where its trigger makes the deployment say cloudevent", async () => {
  const instance = await start("framework-main.ts", { target: "http", signatureType: "cloudevent" });
  instance.child.stdin?.write("finish\n");
  const batch = `[${eventText("a", "{}")},${eventText("b", "{}")}]`;
  const { "ce-id": _, ...withoutId } = header();

  const statuses = [
    (await post(instance.url, header(), "{}")).status,
    (await post(instance.url, { "content-type": "application/cloudevents-batch+json" }, batch)).status,
    (await post(instance.url, withoutId, "{}")).status,
  ];

  // The framework would have answered a CloudEvent function's malformed event with 204.
  expect(statuses).toEqual([204, 204, 400]);
  for (const id of ["e-1", "a", "b"]) await instance.said(`begun ${id}`);
});
