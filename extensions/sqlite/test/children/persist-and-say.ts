// Persists messages, alone and in groups, and writes a line for each one as soon as the store has acknowledged it, until it is killed or done.
import { writeSync } from "node:fs";
import { createMessage } from "event-driver";
import { sqliteEventStore } from "@event-driver/sqlite";

const [file = "", name = "", rounds = "0"] = process.argv.slice(2);
const store = sqliteEventStore({ file });

for (let round = 0; round < Number(rounds); round += 1) {
  const group = Array.from({ length: round % 2 === 0 ? 1 : 5 }, (_, index) => `${name}-${round}-${index}`);
  await Promise.all(group.map((key) => persist(key)));
}
await store.close();

async function persist(key: string): Promise<void> {
  await store.persist(createMessage({ id: key, key, source: "event1", content: "x".repeat(2_000) }));
  writeSync(1, `persisted ${key}\n`);
}
