import { getTestServer } from "@google-cloud/functions-framework/testing";

import "./functions.ts";

// A server that nobody listens to signals for.
const server = getTestServer("http").listen(0, "127.0.0.1", () => {
  const address = server.address();
  process.stdout.write(`port ${typeof address === "object" && address !== null ? address.port : 0}\n`);
});
