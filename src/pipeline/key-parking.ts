import type { Context } from "../context.ts";
import type { AnyMessage } from "./handler.ts";

import { type ContextValue, contextValue } from "../context.ts";

/**
 * How a message ends where keys are parked.
 *
 * - `done`: it was run, and is done
 * - `put aside`: it is kept durably, in its place in the queue of its key
 * - `duplicate`: it has been done, or put aside, before
 * - `again`: it was run, and is to be delivered again
 */
export type VisitOutcome = "done" | "put aside" | "duplicate" | "again";

/** One message on its way past the queue of its key. */
export interface Visit {
  readonly ctx: Context;
  readonly message: AnyMessage;
  /** Runs it. Resolves to the error when it has failed for good and is to be put aside; what it rejects with is thrown on. */
  readonly run: () => Promise<"done" | "again" | { readonly error: unknown }>;
  /** Keeps it durably, together with the ticket that it comes back with. Doing so twice must leave it kept. */
  readonly putAside: (error: unknown, ticket: string) => Promise<void>;
}

/**
 * Keeps the messages of a key in order once one of them has been put aside: those behind it are put aside too, without being run, until it has been
 * redriven.
 *
 * Made by `parkedKeys` of `event-driver/dead-letters`.
 */
export interface KeyParking {
  readonly visit: (visit: Visit) => Promise<VisitOutcome>;
}

/** Whose keys are parked. */
export interface ParkingPlace {
  readonly stream: string;
  /** Of the subscriptions that share the work. */
  readonly name: string;
}

/** What a message was put aside with, set while it comes back from there. */
export const parkingTicket: ContextValue<string> = contextValue("parking ticket");
