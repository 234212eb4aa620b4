import { invalidOption } from "event-driver";

/** One of the objects that lie under the same key and source, as a read policy sees it. */
export interface GcsObject {
  readonly name: string;
  readonly generation: string;
  /** When this generation was written, in epoch milliseconds on the service's clock. */
  readonly createdAt: number;
}

/**
 * Which of the objects under one key and source is the message: the first or the last that was created, as the Go original's policies choose, or
 * a function of yours. It is given the oldest first, and returns one of them, or `undefined` where none counts.
 */
export type ReadPolicy = "firstCreated" | "lastCreated" | ((objects: readonly GcsObject[]) => GcsObject | undefined);

/** @throws EventDriverError `ERR_INVALID_OPTION` */
export function requireReadPolicy(policy: ReadPolicy): ReadPolicy {
  if (policy === "firstCreated" || policy === "lastCreated" || typeof policy === "function") return policy;
  throw invalidOption("gcsEventStore", "readPolicy", policy, '"firstCreated", "lastCreated" or a function');
}

/** Of objects of the same time the one with the lesser name counts, the first as well as the last: so does the Go original choose, which lists them by name. */
export function chooseObject<Given extends GcsObject>(policy: ReadPolicy, objects: readonly Given[]): Given | undefined {
  const oldestFirst = objects.toSorted((left, right) => left.createdAt - right.createdAt || compareNames(left.name, right.name));
  const last = oldestFirst.at(-1);
  if (policy === "firstCreated" || last === undefined) return oldestFirst[0];
  if (policy === "lastCreated") return oldestFirst.find(({ createdAt }) => createdAt === last.createdAt);
  const chosen = policy(oldestFirst);
  return chosen && oldestFirst.find(({ name }) => name === chosen.name);
}

function compareNames(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}
