// Started with the address of a module, it tells how many milliseconds importing that took.
const address = process.argv[2] ?? "";
const before = performance.now();
await import(address);
process.send?.(performance.now() - before);
process.disconnect();
