import { afterEach, vi } from "vitest";

// Files share one process (see vitest.config.ts), so a fake timer left behind would reach the next file.
afterEach(() => {
  vi.useRealTimers();
});
