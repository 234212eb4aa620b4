import type { Link } from "./link.ts";

const acknowledgement = 0x40;
const receipt = 0x50;
const packetBytes = 4;

/**
 * Writes the answers to messages: PUBACK for quality 1, PUBREC for quality 2, which MQTT.js then completes.
 *
 * It does so beside MQTT.js, which can answer a message only before it reads the next one, so that one slow handler would hold up all others and every
 * acknowledgement of what is published.
 */
export class Answers {
  readonly #link: Link;
  #waiting: { readonly id: number; readonly qos: number }[] = [];

  constructor(link: Link) {
    this.#link = link;
  }

  /** Goes out with all others of this turn of the event loop: a write for each costs more than all else of it. */
  add(id: number, qos: number): void {
    if (this.#waiting.length === 0) setImmediate(() => this.write());
    this.#waiting.push({ id, qos });
  }

  /** Writes at once what there is. Without a connection that is not needed: the broker asks again. */
  write(): void {
    const answers = this.#waiting;
    this.#waiting = [];
    if (answers.length === 0 || !this.#link.client.connected) return;
    const bytes = Buffer.allocUnsafe(answers.length * packetBytes);
    answers.forEach(({ id, qos }, index) => {
      bytes.writeUInt16BE(((qos === 2 ? receipt : acknowledgement) << 8) | 2, index * packetBytes);
      bytes.writeUInt16BE(id, index * packetBytes + 2);
    });
    this.#link.write(bytes);
  }
}
