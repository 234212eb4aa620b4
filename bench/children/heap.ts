import { heapOverMessages } from "../workloads/long-run.ts";

// Started with a number of messages, it tells the heap along the way.
process.send?.(await heapOverMessages({ messages: Number(process.argv[2]) }));
process.disconnect();
