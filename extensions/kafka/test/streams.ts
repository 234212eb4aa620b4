import { Admin } from "@platformatic/kafka";
import { randomUUID } from "node:crypto";

import { services } from "../../../test/services.ts";
import { topicOfStream } from "../src/names.ts";

/** Streams that nobody else has. A broker slows down with the number of its topics, so they are removed in the end. */
export class TestStreams {
  readonly #names = new Set<string>();

  add(beginning?: string): string {
    const name = beginning === undefined ? randomUUID() : `${beginning}-${randomUUID()}`;
    this.#names.add(name);
    return name;
  }

  /** Removes their topics, and those whose names begin like them. */
  async remove(): Promise<void> {
    const admin = new Admin({ clientId: "test", bootstrapBrokers: [services.kafka.url.replace("kafka://", "")] });
    try {
      const ours = Array.from(this.#names, topicOfStream);
      const topics = (await admin.listTopics()).filter((topic) => ours.some((each) => topic.startsWith(each)));
      if (topics.length > 0) await admin.deleteTopics({ topics });
    } finally {
      await admin.close();
    }
  }
}
