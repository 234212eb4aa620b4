import { rabbitmqConnection } from "@event-driver/rabbitmq";

import { keepingJournal } from "../work-journal.ts";

/** Works on the partitions of a name until its process is killed. */
const [url = "", stream = "", member = ""] = process.argv.slice(2);
const options = { url, queueArguments: { "x-expires": 600_000 } };

const [worker, writer] = [await rabbitmqConnection({ ...options, partitions: 4 }), await rabbitmqConnection(options)];
await keepingJournal(member, { worker, writer }, stream);
