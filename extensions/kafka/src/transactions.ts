import { type Context, contextValue, type ContextValue, EventDriverError, type Message, type PassThrough, quote } from "event-driver";
import { deliveryOf } from "event-driver/streams";

/** Takes what a handler publishes, to be published together with the position. */
export interface KafkaTransaction {
  /**
   * Publishes the message when the one being worked on is done, and only if; nobody who reads committed records sees it before.
   *
   * @throws EventDriverError `ERR_INVALID_OPTION`, `ERR_INVALID_MESSAGE`
   */
  publish(stream: string, message: Message): void;
}

/** A message to be published. */
export interface Output<Record> {
  readonly stream: string;
  readonly record: Record;
}

const transaction: ContextValue<KafkaTransaction> = contextValue("kafka transaction");

/**
 * The transaction that the message is worked on in.
 *
 * Use it behind the stage that `connection.transactional()` gives, to publish what a message causes exactly once.
 *
 * @throws EventDriverError `ERR_UNSUPPORTED` where there is none
 * @example
 * const invoicing = pipeline()
 *   .use(connection.transactional())
 *   .use(async (ctx, order) => transactionOf(ctx).publish("invoices", invoiceOf(order)));
 * await connection.subscribe("orders", invoicing, { native: { transactional: true } });
 */
export function transactionOf(ctx: Context): KafkaTransaction {
  const found = transaction.get(ctx);
  if (found === undefined) throw notTransactional("there is no transaction; put the stage of connection.transactional() in front");
  return found;
}

/** What handlers have given to be published with the messages that they were working on. */
export class Outbox<Record> {
  readonly #write: (stream: string, message: Message) => Output<Record>;
  /** By the message of a delivery: those that are in a transaction, and what was published for the last time that all went well. */
  readonly #outputs = new WeakMap<Message, readonly Output<Record>[]>();

  constructor(write: (stream: string, message: Message) => Output<Record>) {
    this.#write = write;
  }

  /** The message is delivered in a transaction. */
  open(message: Message): void {
    this.#outputs.set(message, []);
  }

  outputsOf(message: Message): readonly Output<Record>[] {
    return this.#outputs.get(message) ?? [];
  }

  /** A stage that keeps what those behind it publish, if all of them succeed. */
  stage(): PassThrough {
    return {
      traits: { name: "transactional" },
      process: async (ctx, message, next) => {
        const delivered = deliveryOf(ctx)?.message;
        if (delivered === undefined || !this.#outputs.has(delivered))
          throw notTransactional(
            `message ${quote(message.id)} is in no transaction; subscribe with native: { transactional: true }, and without batch`,
          );
        const outputs: Output<Record>[] = [];
        this.#outputs.set(delivered, []);
        await next(transaction.set(ctx, { publish: (stream, output) => void outputs.push(this.#write(stream, output)) }), message);
        this.#outputs.set(delivered, outputs);
      },
    };
  }
}

function notTransactional(why: string): EventDriverError {
  return new EventDriverError("ERR_UNSUPPORTED", { message: `Kafka transactions: ${why}`, retryable: false });
}
