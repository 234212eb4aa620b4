import { natsConnection } from "@event-driver/nats";

import { workOn } from "../work-log.ts";

/** Works on a stream with partitions, and writes down what it does, until it is killed. */
const [member = "", url = "", stream = "", log = "", partitions = ""] = process.argv.slice(2);

const journal = await natsConnection({ url });
const connection = await natsConnection({ url, stream: { partitions: Number(partitions) } });
await workOn({ member, connection, journal, stream, log });
process.stdout.write("ready\n");
