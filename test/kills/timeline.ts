/** Puts what the test itself does and sees in one order, without a clock. */
export interface Timeline {
  /** A number above all that were given before. */
  next(): number;
}

export function createTimeline(): Timeline {
  let last = 0;
  return { next: () => (last += 1) };
}
