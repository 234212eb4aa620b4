import { gcsEventStore } from "@event-driver/google-cloud/storage";
import { createMessage } from "event-driver";

import {
  alternate,
  type Contestant,
  costRatio,
  cpuTime,
  measurements,
  rateRatio,
  rates,
  type Rounds,
  type Samples,
  wallTime,
} from "../harness/alternate.ts";
import { check, type RunCase } from "../harness/result.ts";
import { type BareClient, byMethods, byRequest, makeRequests, recorded, type Request } from "../workloads/bare-gcs.ts";
import { newOrders } from "../workloads/orders.ts";
import { type Bucket, type SlowService, slowService } from "../workloads/slow-service.ts";
import { processOrders, tutorialPipeline } from "../workloads/tutorial.ts";

const ours = "event-driver";
const methods = "@google-cloud/storage by its methods";
const request = "@google-cloud/storage by request alone";

/** How many orders are on their way at a time, and how many a round has. */
const side = 64;

/** What an order asks of the service, and what CPU time that takes on this side of the network. */
export const order: RunCase = async ({ quick }) =>
  withService(async (service) => {
    const counts = new Map<string, number[]>();

    const samples = await compare(service, { warmUp: quick ? 2 : 4, measured: quick ? 5 : 15 }, async (name, work) => {
      await service.requests();
      const cost = await cpuTime(side, work);
      const seen = await service.requests();
      counts.set(name, [...(counts.get(name) ?? []), seen.length / side]);
      return cost;
    });

    return {
      measurements: measurements(samples, "µs CPU"),
      checks: [
        check(`requests of ${ours}`, counts.get(ours) ?? [], "an order", { most: 14 }),
        check(`requests of ${methods}`, counts.get(methods) ?? [], "an order"),
        check(`requests of ${request}`, counts.get(request) ?? [], "an order"),
        costRatio(samples, ours, methods),
        costRatio(samples, ours, request),
      ],
    };
  });

/** How many orders get through. */
export const inFlight: RunCase = async ({ quick }) =>
  withService(async (service) => {
    const samples = await compare(service, { warmUp: 2, measured: quick ? 5 : 15 }, (_name, work) => wallTime(side, work));

    return { measurements: rates(samples, "orders/s"), checks: [rateRatio(samples, ours, methods), rateRatio(samples, ours, request)] };
  });

/** All entries of a key at once. */
export const lookUp: RunCase = async ({ quick }) =>
  withService(async (service) => {
    const together = "lookUpByKey";
    const apart = "lookUp, one after another";
    const sources = Array.from({ length: 50 }, (_, index) => `event${index}`);

    const samples = await service.withBucket(async (bucket) => {
      const store = gcsEventStore({ bucket, storage: service.storage });
      for (const source of sources) await store.persist(createMessage({ key: "order", source, content: '{"customer":"customer-3"}' }));
      return alternate(
        [
          { name: together, round: () => wallTime(1, async () => void (await store.lookUpByKey("order"))) },
          {
            name: apart,
            round: () =>
              wallTime(1, async () => {
                for (const source of sources) await store.lookUp("order", source);
              }),
          },
        ],
        { warmUp: 2, measured: quick ? 5 : 15 },
      );
    });

    return { measurements: rates(samples, "a second"), checks: [rateRatio(samples, together, apart, { least: 5 })] };
  });

async function withService(run: (service: SlowService) => ReturnType<RunCase>): ReturnType<RunCase> {
  const service = await slowService();
  if (typeof service === "string") return { measurements: [], checks: [], notes: [service] };
  try {
    return await run(service);
  } finally {
    service.close();
  }
}

/** Tells what one order of a round has cost. */
type Measure = (name: string, work: () => Promise<void>) => Promise<number>;

async function compare(service: SlowService, rounds: Rounds, measure: Measure): Promise<Samples> {
  const { storage } = service;
  const requests = await recordOrder(service);

  const byStore: Contestant = {
    name: ours,
    round: () =>
      service.withBucket((bucket) => {
        const processor = tutorialPipeline(gcsEventStore({ bucket, storage }));
        const events = newOrders(side);
        return measure(ours, () => processOrders(processor, events, side));
      }),
  };
  const byHand = (name: string, clientOf: (bucket: Bucket) => BareClient): Contestant => ({
    name,
    round: () =>
      service.withBucket((bucket) => {
        const client = clientOf(storage.bucket(bucket));
        return measure(name, async () => {
          await Promise.all(Array.from({ length: side }, () => makeRequests(requests, client)));
        });
      }),
  });
  return alternate([byStore, byHand(methods, byMethods), byHand(request, byRequest)], rounds);
}

/** What the store asks for to process one order. */
function recordOrder(service: SlowService): Promise<readonly Request[]> {
  const { storage, direct } = service;
  return service.withBucket(async (bucket) => {
    await service.requests();
    await processOrders(tutorialPipeline(gcsEventStore({ bucket, storage })), newOrders(1), 1);
    return recorded(await service.requests(), direct.bucket(bucket));
  });
}
