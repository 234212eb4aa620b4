import type { EventResponse } from "./request.ts";
import type { EventHandlerSettings } from "./settings.ts";

import { problemResponse } from "./problem.ts";

/**
 * Answers health requests: 200 while the service takes events and its check succeeds, else 503.
 *
 * Requests that come while a check runs share its result, so that anyone may ask and nobody can flood the store by it.
 */
export function answerHealth({ health, logger }: EventHandlerSettings): (stopping: boolean) => Promise<EventResponse> {
  let running: Promise<boolean> | undefined;

  const check = async (): Promise<boolean> => {
    try {
      await health?.check();
      return true;
    } catch (error) {
      logger.warn({ err: error }, "the health check failed");
      return false;
    }
  };

  return async (stopping) => {
    if (stopping) return problemResponse({ status: 503, detail: "The service is shutting down." });
    running ??= check().finally(() => (running = undefined));
    return (await running) ? healthy : problemResponse({ status: 503, detail: "The service cannot do its work now." });
  };
}

const healthy: EventResponse = {
  status: 200,
  headers: { "content-type": "application/json", "cache-control": "no-store" },
  body: '{"status":"ok"}',
};
