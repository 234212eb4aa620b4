import { getTestServer } from "@google-cloud/functions-framework/testing";

import "../index.js";

// As the framework's own command serves it, but on loopback alone.
const server = getTestServer("orders").listen(Number(process.env["PORT"] ?? 0), "127.0.0.1", () => {
  const address = server.address();
  process.stdout.write(`listening on http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/\n`);
});
