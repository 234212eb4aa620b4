import { test, vi } from "vitest";

import { connectionKit } from "../../src/testing/connection-kit.ts";
import { memoryHandles } from "./memory-handles.ts";

const { options } = memoryHandles();

// To fill a long queue takes a slow machine a while.
vi.setConfig({ testTimeout: 30_000 });
connectionKit({ ...options, test });
vi.resetConfig();
