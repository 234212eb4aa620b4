import { createHash } from "node:crypto";

/**
 * Names at the broker.
 *
 * Letters, digits and `_ . : / @ -` stand for themselves, every other byte of the UTF-8 is percent-encoded. `#` and `~` are therefore free to separate. AMQP allows 255
 * bytes; what would be longer keeps its beginning and ends in its hash.
 */

/** The exchange of a stream. */
export function exchangeOf(stream: string): string {
  return shortened(encoded(stream));
}

/** The queue of one name of a stream. The name that is the stream's own, which is the default, adds nothing. */
export function queueOf(stream: string, name: string): string {
  return shortened(name === stream ? encoded(stream) : `${encoded(stream)}#${encoded(name)}`);
}

/** The queue where messages wait before they go back to another one. */
export function waitQueueOf(queue: string, delay: number): string {
  return `${queue}~wait~${delay}`;
}

/** The queue that exists as long as somebody has another one alone. */
export function lockOf(queue: string): string {
  return `${queue}~alone`;
}

/** The queue of one partition of a name, whose queue it would be without partitions. */
export function partitionOfQueue(queue: string, partition: number): string {
  return `${queue}~${partition}`;
}

/** The queue that all members of a name with partitions consume: nothing comes, but they are counted. */
export function membersOf(queue: string): string {
  return `${queue}~members`;
}

/** What is locked by the member of a rank. */
export function seatOf(queue: string, rank: number): string {
  return `${queue}~seat~${rank}`;
}

/** The exchange of a name with partitions, which knows the partition of each slot. */
export function slotsOf(queue: string): string {
  return `${queue}~slots`;
}

/** The exchange for what comes to such a name without a slot. */
export function straysOf(queue: string): string {
  return `${queue}~strays`;
}

/** Room for what the functions above add. */
const longest = 220;
const keptOfLong = 170;

function shortened(name: string): string {
  if (name.length <= longest) return name;
  return `${name.slice(0, keptOfLong)}~${createHash("sha256").update(name).digest("base64url")}`;
}

function encoded(text: string): string {
  const plain = text.replaceAll(/[^\w.:/@-]+/gu, inBytes);
  // The broker keeps this beginning for itself.
  return plain.startsWith("amq.") ? `%61${plain.slice(1)}` : plain;
}

function inBytes(text: string): string {
  return Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}
