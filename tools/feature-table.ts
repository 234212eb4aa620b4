import { kafkaFeatures } from "@event-driver/kafka";
import { mqttFeatures } from "@event-driver/mqtt";
import { natsFeatures } from "@event-driver/nats";
import { pulsarFeatures } from "@event-driver/pulsar";
import { rabbitmqFeatures } from "@event-driver/rabbitmq";
import { type ConnectionFeatures, memoryConnection } from "event-driver/streams";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { projectRoot } from "./run-command.ts";

/** What each broker can do, as its package declares it; left to itself, without options of its own. */
const brokers: Readonly<Record<string, ConnectionFeatures>> = {
  memory: memoryConnection().features,
  NATS: natsFeatures,
  Kafka: kafkaFeatures,
  RabbitMQ: rabbitmqFeatures,
  Pulsar: pulsarFeatures,
  MQTT: mqttFeatures,
};

interface Row {
  /** What a user asks for. */
  readonly option: string;
  /** What a broker makes of it; `false` where asking is an error. */
  readonly says: (features: ConnectionFeatures) => string | boolean;
}

const rows: readonly Row[] = [
  { option: "`durable: true`, a position that stays", says: ({ durable }) => durable },
  { option: "`durable: false`, one that ends with its last subscription", says: ({ transient }) => transient },
  { option: "`backfill: true`, from the first message", says: ({ backfill }) => backfill.includes("all") },
  { option: "`backfill: Date`", says: ({ backfill }) => backfill.includes("time") },
  { option: "`backfill: { position }`", says: ({ backfill }) => backfill.includes("position") },
  { option: "`reset: true`", says: ({ reset }) => reset },
  { option: "`serial: true`", says: ({ serial }) => serial },
  { option: '`order: "key"` keeps a key in order over', says: ({ keyOrder }) => keyOrders[keyOrder] },
  { option: "`timeout`, the ack wait", says: ({ ackWait }) => ackWaits[ackWait] },
  { option: '`order: "none"`: a failed message waits', says: ({ delay }) => (delay ? "at the broker" : "in memory") },
  { option: "`attempt` after a restart", says: ({ attempts }) => (attempts ? "goes on" : "begins at 1") },
  { option: "`deadLetter.retention` for single messages", says: ({ expiry }) => expiry },
];

const keyOrders: Readonly<Record<ConnectionFeatures["keyOrder"], string | false>> = {
  group: "all subscriptions of a name",
  subscription: "each subscription by itself",
  none: false,
};

const ackWaits: Readonly<Record<ConnectionFeatures["ackWait"], string | false>> = {
  extended: "extended while it works",
  fixed: "fixed",
  none: false,
};

/** The table of what each option is on each broker, as Markdown. */
export function featureTable(): string {
  const names = Object.keys(brokers);
  const lines = rows.map(({ option, says }) => [option, ...Object.values(brokers).map((features) => cell(says(features)))]);
  return [["", ...names], ["---", ...names.map(() => "---")], ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** The page with the table between its marks, in place of what stood there. */
export function withFeatureTable(page: string): string {
  const [begin, end] = ["<!-- features -->\n", "\n<!-- /features -->"];
  const from = page.indexOf(begin);
  const to = page.indexOf(end);
  if (from === -1 || to === -1) throw new Error(`the page has no ${begin.trim()} ... ${end.trim()}`);
  return `${page.slice(0, from + begin.length)}${featureTable()}${page.slice(to)}`;
}

function cell(says: string | boolean): string {
  return typeof says === "string" ? says : says ? "yes" : "no";
}

/** The page that has the table. */
export const pageWithTable: string = join(projectRoot, "docs/streams.md");

if (import.meta.main) writeFileSync(pageWithTable, withFeatureTable(readFileSync(pageWithTable, "utf8")));
