export { pubsubPush, type PubsubPush, type PubsubPushOptions } from "./pubsub-push.ts";
export type { TerminalFailure, TerminalOptions } from "../receive/on-terminal.ts";
export type { PubsubMessage } from "../receive/pubsub-envelope.ts";
export type { PubsubMessageOptions } from "../receive/pubsub-message.ts";
