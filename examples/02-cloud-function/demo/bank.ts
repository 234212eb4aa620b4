import { createServer } from "node:http";

/** What the function charges orders at. */
export interface Bank {
  readonly url: string;
  /** How often it was asked to charge. */
  readonly charges: number;
  /** From now on it answers only after `resume`. Resolves when somebody waits for it. */
  pause(): Promise<void>;
  resume(): void;
  close(): void;
}

/** Starts a bank on a free port. */
export async function startBank(): Promise<Bank> {
  const { promise: resumed, resolve: resume } = Promise.withResolvers<void>();
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  let charges = 0;
  let paused = false;
  const server = createServer((_request, response) => {
    charges += 1;
    if (paused) ask();
    const answer = (): void => void response.writeHead(204).end();
    if (paused) void resumed.then(answer);
    else answer();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/`,
    get charges() {
      return charges;
    },
    pause() {
      paused = true;
      return asked;
    },
    resume,
    close: () => server.close().closeAllConnections(),
  };
}
