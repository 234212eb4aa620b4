import { type ContextValue, contextValue } from "../context.ts";

/**
 * Set while a message that was put aside is processed again.
 *
 * A stage that remembers the message as failed opens it again and runs the stages behind; to end it as a duplicate would lose it, for the dead
 * letter is removed when the replay succeeds. A message that it remembers as done stays a duplicate.
 */
export const replaying: ContextValue<true> = contextValue("replaying");

/**
 * By which redrive the message comes back, where that can be told: every copy of the same redrive has the same. What has failed for good by one is not
 * opened again by a copy of it.
 */
export const redrive: ContextValue<string> = contextValue("redrive");
