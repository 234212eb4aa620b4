import { createHash } from "node:crypto";

/** Kafka's own limit. */
const longestTopic = 249;
const digestLength = 64;

/**
 * The topic of a stream, as the connection names it unless told otherwise.
 *
 * Letters, digits, dots and hyphens stay as they are; every other byte of the UTF-8 text becomes `_` and two hexadecimal digits. Kafka takes `.` and `_` in
 * topics for the same, so a dot is written like that, too, where it could be mistaken: before two such digits, and in `.` and `..`. What gets too long ends
 * in a digest of the whole. No two streams have one topic.
 *
 * @example topicOfStream("orders.eu"); // "orders.eu"
 * topicOfStream("orders/eu"); // "orders_2feu"
 */
export function topicOfStream(stream: string): string {
  const topic = stream.replaceAll(/[^\w.-]|_|\.(?=[0-9a-f]{2})|^\.(?=\.?$)|(?<=^\.)\.$/gu, escaped);
  if (topic.length <= longestTopic) return topic;
  const digest = createHash("sha256").update(stream).digest("hex");
  // No other topic has this in it: an underscore is followed by hexadecimal digits, and z is none.
  return `${topic.slice(0, longestTopic - digestLength - 2)}_z${digest}`;
}

/**
 * The consumer group of a name, as the connection names it unless told otherwise: the topic of the stream, and behind a slash the name where it is another.
 * Positions belong to a stream and a name, so no two of these have one group.
 *
 * @example groupOfName("orders", "billing"); // "orders/billing"
 */
export function groupOfName(stream: string, name: string): string {
  const group = topicOfStream(stream);
  return name === stream ? group : `${group}/${topicOfStream(name)}`;
}

function escaped(character: string): string {
  return [...Buffer.from(character, "utf8")].map((byte) => `_${byte.toString(16).padStart(2, "0")}`).join("");
}
