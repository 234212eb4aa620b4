import type { ServerResponse } from "node:http";

/** The responses whose senders are slow to read them. A server that closes counts them as answered and would cut them off. */
export interface SlowResponses {
  /** Keeps a response in mind when its socket has not taken all of it. */
  readonly watch: (response: ServerResponse) => void;
  /** Resolves when those that are known now have been read to their end, or given up. */
  readonly written: () => Promise<unknown>;
}

export function slowResponses(): SlowResponses {
  const waiting = new Set<Promise<void>>();
  return {
    watch(response) {
      if (response.writableLength === 0) return;
      const closed = new Promise<void>((resolve) => response.once("close", resolve)).then(() => void waiting.delete(closed));
      waiting.add(closed);
    },
    written: () => Promise.all(waiting),
  };
}
