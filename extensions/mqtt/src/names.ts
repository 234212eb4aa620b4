import { createHash } from "node:crypto";

/** Below this topic the connections tell each other which sessions they have. No stream's topic begins so. */
export const rosterTopic = "event-driver/sessions";

/** Brokers bound how deep topics may be. */
const deepestLevel = 100;
const longestReadable = 32;
const reservedBeginning = /^event-driver(?=\/)/;

/** What wildcards are made of, what UTF-8 in MQTT may not or should not have, and the percent sign itself. */
const unfit = /[%+#\p{Cc}]|\p{Noncharacter_Code_Point}/gu;

/**
 * The topic of a stream. Slashes stay, so that others can use wildcards; what a topic may not have is written as percent signs and hexadecimal digits.
 *
 * No two streams have one topic: {@link streamOf} is the way back.
 *
 * @example topicOf("orders/eu"); // "orders/eu"
 * topicOf("50% off + more"); // "50%25 off %2B more"
 */
export function topicOf(stream: string): string {
  const topic = stream.replace(unfit, escaped).replace(/^\$/, escaped).replace(reservedBeginning, escapedFirst);
  const levels = topic.split("/");
  if (levels.length <= deepestLevel) return topic;
  return [...levels.slice(0, deepestLevel - 1), levels.slice(deepestLevel - 1).join(escaped("/"))].join("/");
}

/** The stream of a topic. A topic that no stream of ours has is taken as it is. */
export function streamOf(topic: string): string {
  try {
    const stream = decodeURIComponent(topic);
    return stream !== "" && topicOf(stream) === topic ? stream : topic;
  } catch {
    return topic;
  }
}

/** Whose work is shared, as it stands in `$share/NAME/filter`: no slash may be in it. */
export function shareNameOf(name: string, durable: boolean): string {
  const share = name.replace(unfit, escaped).replaceAll("/", escaped);
  // No name is written so: a percent sign is followed by hexadecimal digits.
  return durable ? share : `${share}%transient`;
}

/** What makes a position: everything that its sessions are bound to. */
export interface Position {
  readonly stream: string;
  readonly name: string;
  readonly filter: string;
  readonly durable: boolean;
}

/** What the client identifiers of a position's sessions begin with: readable as far as it is plain, and unlike that of any other position. */
export function sessionsOf(clientId: string, position: Position): string {
  const { stream, name, filter, durable } = position;
  const readable = name.replaceAll(/[^\w.-]+/g, "-").slice(0, longestReadable);
  const digest = createHash("sha256")
    .update(JSON.stringify([stream, name, filter, durable]))
    .digest("hex")
    .slice(0, 20);
  return `${clientId}-${readable}-${digest}`;
}

function escaped(character: string): string {
  return Array.from(Buffer.from(character, "utf8"), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}

function escapedFirst(text: string): string {
  return escaped(text.charAt(0)) + text.slice(1);
}
