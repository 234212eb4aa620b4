const acknowledgement = 0x40;
const receipt = 0x50;
const packetBytes = 4;

/** What it needs of a link. */
export interface AnswersLink {
  readonly client: { readonly connected: boolean };
  write(bytes: Buffer): void;
}

/**
 * Writes the answers to messages: PUBACK for quality 1, PUBREC for quality 2, which MQTT.js then completes.
 *
 * It does so beside MQTT.js, which can answer a message only before it reads the next one, so that one slow handler would hold up all others and every
 * acknowledgement of what is published.
 */
export class Answers {
  readonly #link: AnswersLink;
  #waiting: { readonly id: number; readonly qos: number }[] = [];
  #isHeld = false;

  constructor(link: AnswersLink) {
    this.#link = link;
  }

  /** Goes out with all others of this turn of the event loop: a write for each costs more than all else of it. Not before {@link release} after {@link hold}. */
  add(id: number, qos: number): void {
    if (this.#waiting.length === 0 && !this.#isHeld) setImmediate(() => this.write());
    this.#waiting.push({ id, qos });
  }

  /**
   * Keeps answers until the broker has said that something is subscribed.
   *
   * Mosquitto, 2.0.11 for one, keeps to the receive maximum only until it has the first answer. Then it sends all it has, and what it says to a subscription comes
   * behind that.
   */
  hold(): void {
    this.#isHeld = true;
  }

  /** Writes what was held, and holds nothing any more. */
  release(): void {
    this.#isHeld = false;
    this.write();
  }

  /** Forgets what waits: the broker asks again for all that it has had no answer to over the connection before. */
  clear(): void {
    this.#waiting = [];
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
