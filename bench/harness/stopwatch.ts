/** What an operation has cost, in microseconds. */
export interface Cost {
  /** By the clock. */
  readonly wall: number;
  /** Of CPU time, all threads of the process together. */
  readonly cpu: number;
}

/** Starts to measure; calling what it returns tells what each of so many operations has cost since. */
export function startStopwatch(): (operations: number) => Cost {
  const cpuBefore = process.cpuUsage();
  const before = performance.now();
  return (operations) => {
    const wall = (performance.now() - before) * 1_000;
    const { user, system } = process.cpuUsage(cpuBefore);
    return { wall: wall / operations, cpu: (user + system) / operations };
  };
}
