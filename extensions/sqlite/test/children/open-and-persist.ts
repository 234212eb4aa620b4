// Opens the store as a user without special rights and persists until something fails. Prints how many were acknowledged, and the failure.
import { createMessage, isEventDriverError } from "event-driver";
import { sqliteEventStore } from "@event-driver/sqlite";

const [file = ""] = process.argv.slice(2);
const nobody = 65_534;
if (process.getuid?.() === 0 && process.argv.includes("--as-nobody")) process.setuid?.(nobody);

let acknowledged = 0;
try {
  const store = sqliteEventStore({ file });
  for (; acknowledged < 10_000; acknowledged += 1) {
    await store.persist(createMessage({ id: "x", key: `order-${acknowledged}`, source: "event1", content: "x".repeat(10_000) }));
  }
} catch (error) {
  if (!isEventDriverError(error)) throw error;
  process.stdout.write(JSON.stringify({ acknowledged, code: error.code, retryable: error.retryable }));
}
