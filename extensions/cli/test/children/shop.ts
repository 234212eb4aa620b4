import { sqliteEventStore } from "@event-driver/sqlite";
import { deadLetter, type EventStore, pipeline, type Pipeline, TerminalError } from "event-driver";
import { parkedKeys } from "event-driver/dead-letters";
import { appendFileSync } from "node:fs";
import { env } from "node:process";

let opened: EventStore | undefined;

/** What `--config` is given: the store of the shop, and its pipeline, which writes down what it has done. */
export function store(): EventStore {
  opened = sqliteEventStore({ file: env["SHOP_FILE"] ?? "" });
  return opened;
}

function shop(): Pipeline {
  const shared = opened ?? store();
  return pipeline()
    .use(deadLetter({ store: shared, parkKey: parkedKeys({ store: shared }) }))
    .use(async (_ctx, { id }) => {
      if (env["SHOP_REFUSES"] === id) throw new TerminalError("refused: 4711");
      appendFileSync(`${env["SHOP_FILE"]}.log`, `${id}\n`);
    });
}

export { shop as pipeline };
