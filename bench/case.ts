import type { CaseOptions, CaseResult } from "./harness/result.ts";

import { cases } from "./cases/index.ts";

// Each case runs in a process of its own, this one: what the compiler has learnt of the stages of one case, and the heap it has left, would
// change the figures of the next.
const [name = "", given = "{}"] = process.argv.slice(2);
const listed = cases.get(name);
if (listed === undefined) throw new Error(`no case is called ${JSON.stringify(name)}; there are ${[...cases.keys()].join(", ")}`);

const options: CaseOptions = JSON.parse(given);
const run = await listed.load();
const result: CaseResult = { name, title: listed.title, notes: [], ...(await run(options)) };
process.send?.(JSON.stringify(result));
