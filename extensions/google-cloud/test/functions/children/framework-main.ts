import { Server } from "node:http";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

// The framework's own command, with its own signal handlers, except that it listens on loopback alone and says on which port.
const listen: unknown = Reflect.get(Server.prototype, "listen");
Object.defineProperty(Server.prototype, "listen", {
  value(this: Server, _port: string, callback: () => void): Server {
    this.once("listening", () => {
      const address = this.address();
      process.stdout.write(`port ${typeof address === "object" && address !== null ? address.port : 0}\n`);
    });
    if (typeof listen === "function") Reflect.apply(listen, this, [{ port: 0, host: "127.0.0.1" }, callback]);
    return this;
  },
});

const framework = dirname(createRequire(import.meta.url).resolve("@google-cloud/functions-framework"));
await import(join(framework, "main.js"));
