// Started with the address of a module, it tells how many milliseconds of CPU time importing that took.
const address = process.argv[2] ?? "";
const before = process.cpuUsage();
await import(address);
const { user, system } = process.cpuUsage(before);
process.send?.((user + system) / 1_000);
process.disconnect();
