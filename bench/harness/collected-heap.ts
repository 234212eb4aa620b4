/** The bytes of the heap after a collection. Needs Node's `--expose-gc`. */
export function collectedHeap(): number {
  if (globalThis.gc === undefined) throw new Error("the heap can be measured only under node --expose-gc");
  // The second one takes what only finalizers of the first have let go.
  globalThis.gc();
  globalThis.gc();
  return process.memoryUsage().heapUsed;
}
