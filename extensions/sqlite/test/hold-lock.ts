import { DatabaseSync } from "node:sqlite";
import { onTestFinished } from "vitest";

/** Takes the write lock of a database, as another process would, until the function it returns is called. */
export function holdLock(file: string): () => void {
  const other = new DatabaseSync(file, { timeout: 0 });
  other.exec("BEGIN IMMEDIATE");
  const release = (): void => {
    if (other.isOpen) other.close();
  };
  onTestFinished(release);
  return release;
}
