import middy from "@middy/core";
import { createContext, createMessage, type Message, pipeline, type Pipeline } from "event-driver";
import compose from "koa-compose";

import type { RunCase } from "../harness/result.ts";

import { alternate, type Contestant, costRatio, cpuTime, measurements } from "../harness/alternate.ts";
import { lambdaContext } from "../workloads/lambda-context.ts";
import { nestedByHand, passThroughStages, type Run } from "../workloads/nested-by-hand.ts";

const ours = "event-driver";
const withSignal = "event-driver, signal raced";
const withDeadline = "event-driver, deadline raced";
const byHand = "five functions nested by hand";

/** What running a message through stages costs that do nothing, where the stages themselves are the same functions. */
export const stages: RunCase = async ({ quick }) => {
  const messages = quick ? 50_000 : 100_000;
  const contestants = [
    contestant(ours, fiveStages(), messages),
    contestant(byHand, nestedByHand(), messages),
    contestant("koa-compose", composedByKoa(), messages),
    contestant("@middy/core", wrappedByMiddy(), messages),
    contestant(withSignal, fiveStages({ signal: new AbortController().signal }), messages),
    contestant(withDeadline, fiveStages({ deadline: 30_000 }), messages),
  ];

  const samples = await alternate(contestants, { warmUp: 5, measured: quick ? 7 : 31 });

  return {
    measurements: measurements(samples, "µs CPU"),
    checks: [
      costRatio(samples, ours, byHand, { most: 1.25 }),
      costRatio(samples, withSignal, byHand, { most: 1.7 }),
      costRatio(samples, withDeadline, byHand, { most: 1.7 }),
      costRatio(samples, ours, "koa-compose", { most: 1 }),
      costRatio(samples, ours, "@middy/core", { most: 1 }),
    ],
    notes: ["the raced signal lives as long as the process, as a server's does; each message is given the same one"],
  };
};

function contestant(name: string, run: Run, messages: number): Contestant {
  const message = createMessage({ id: "order-1-paid", key: "order-1", source: "payments", content: '{"total":12}' });
  const round = async (): Promise<void> => {
    for (let count = 0; count < messages; count += 1) await run(message);
  };
  return { name, round: () => cpuTime(messages, round) };
}

function fiveStages({ signal, deadline }: { readonly signal?: AbortSignal; readonly deadline?: number } = {}): Run {
  const empty: Pipeline = pipeline(deadline === undefined ? {} : { deadline });
  const five = passThroughStages.reduce((shorter, stage) => shorter.use(stage), empty);
  const ctx = createContext({ signal });
  return (message) => five.process(ctx, message);
}

/** Its stages share one object instead of being given a message, so each message needs one. */
function composedByKoa(): Run {
  const five = compose(
    passThroughStages.map(() => async (_: { readonly message: Message }, next: () => Promise<void>) => {
      await next();
    }),
  );
  return (message) => five({ message });
}

/** It has no `next`, but steps before and after; five of those before are the least that five middlewares can be. */
function wrappedByMiddy(): Run {
  const handler = middy(async () => {}, { timeoutEarlyInMillis: 0 });
  for (const _ of passThroughStages) handler.use({ before: async () => {} });
  return (message) => handler(message, lambdaContext);
}
