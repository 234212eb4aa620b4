import { test } from "vitest";

import { connectionKit } from "../../src/testing/connection-kit.ts";
import { memoryHandles } from "./memory-handles.ts";

const { options } = memoryHandles();

connectionKit({ ...options, test });
