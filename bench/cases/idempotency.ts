import { IdempotencyConfig, makeIdempotent } from "@aws-lambda-powertools/idempotency";
import { createContext, idempotency, memoryEventStore, type Message, pipeline } from "event-driver";

import type { RunCase } from "../harness/result.ts";

import { alternate, type Contestant, cpuTime, measurements, rateRatio, type Rounds } from "../harness/alternate.ts";
import { lambdaContext } from "../workloads/lambda-context.ts";
import { newOrders } from "../workloads/orders.ts";
import { PowertoolsMemoryLayer } from "../workloads/powertools-memory-layer.ts";

const powertools = "@aws-lambda-powertools/idempotency";

/** A miss is a message that is seen for the first time: claimed, handled by nothing, completed. A hit is one that was completed before. */
export const idempotencyOnMemory: RunCase = async ({ quick }) => {
  const messages = quick ? 10_000 : 20_000;
  const rounds: Rounds = { warmUp: 4, measured: quick ? 7 : 25 };

  const samples = await alternate(
    [
      miss("event-driver, miss", onceByUs, messages),
      miss(`${powertools}, miss`, onceByPowertools, messages),
      await hit("event-driver, hit", onceByUs, messages),
      await hit(`${powertools}, hit`, onceByPowertools, messages),
    ],
    rounds,
  );

  return {
    measurements: measurements(samples, "µs CPU"),
    checks: [
      rateRatio(samples, "event-driver, miss", `${powertools}, miss`, { least: 5 }),
      rateRatio(samples, "event-driver, hit", `${powertools}, hit`, { least: 5 }),
    ],
  };
};

/** Runs nothing for each message, but that once. */
type Once = (message: Message) => Promise<unknown>;

/** With a store of its own for each round, so that neither side's grows from round to round. */
function miss(name: string, open: () => Once, count: number): Contestant {
  return {
    name,
    round() {
      const once = open();
      const messages = newOrders(count / 3).flat();
      return cpuTime(messages.length, async () => {
        for (const message of messages) await once(message);
      });
    },
  };
}

async function hit(name: string, open: () => Once, count: number): Promise<Contestant> {
  const once = open();
  const messages = newOrders(300).flat();
  for (const message of messages) await once(message);
  const passes = Math.ceil(count / messages.length);
  return {
    name,
    round: () =>
      cpuTime(messages.length * passes, async () => {
        for (let pass = 0; pass < passes; pass += 1) for (const message of messages) await once(message);
      }),
  };
}

function onceByUs(): Once {
  const guarded = pipeline()
    .use(idempotency({ store: memoryEventStore() }))
    .use(async () => {});
  const ctx = createContext();
  return (message) => guarded.process(ctx, message);
}

function onceByPowertools(): Once {
  // By a hash of the whole message, which is its default. To take the message's identity out of it, by JMESPath, takes it longer.
  const config = new IdempotencyConfig({ expiresAfterSeconds: 86_400 });
  config.registerLambdaContext(lambdaContext);
  const handleNothing: (message: Message) => Promise<void> = async () => {};
  return makeIdempotent(handleNothing, { persistenceStore: new PowertoolsMemoryLayer(), config });
}
