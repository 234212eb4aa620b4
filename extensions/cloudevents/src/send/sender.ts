import { type Context, EventDriverError, type Handler, type Message, quote, sleep, systemClock } from "event-driver";

import type { SenderOptions, SendOptions } from "./sender-options.ts";

import { exchange, type Failure } from "./exchange.ts";
import { encodeEvent } from "../http/http-encode.ts";
import { senderSettings, type SenderSettings } from "./sender-settings.ts";
import { fromWire, toWire, type WireEvent } from "../event/wire-event.ts";

/** Sends messages as CloudEvents to one place over HTTP. */
export interface Sender extends Handler<Message> {
  /**
   * The last stage of a pipeline: sends the message, and gives the sink's reply to `ctx.reply`.
   *
   * Resolves only when the sink has accepted the event.
   */
  readonly process: (ctx: Context, message: Message) => Promise<void>;
  /**
   * Sends one message. A pipeline's context fits as options.
   *
   * @returns the event that the sink replied with, if it did; it has the message's key unless it says another
   * @throws EventDriverError `ERR_SINK_FAILED`, retryable, when the sink does not accept it: anything but 2xx, or no answer;
   * `ERR_INVALID_MESSAGE` when it is no CloudEvent; `ERR_SENDER_CLOSED`. Rejects with `signal.reason` when that aborts.
   */
  readonly send: (message: Message, options?: SendOptions) => Promise<Message | undefined>;
  /** Refuses further messages and waits for those in flight. Idempotent. Connections belong to `fetch` and stay its own. */
  readonly close: () => Promise<void>;
}

/**
 * Sends messages to a sink such as Knative's `K_SINK`, see {@link senderFromEnvironment}.
 *
 * Use it as the last stage of a pipeline, or by itself. It follows no redirect. A message whose sending failed may have arrived: what is sent
 * again has the same identity, by which the sink can tell.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example pipeline().use(idempotency({ store })).use(sender({ url: "http://broker/orders", retry: { maxAttempts: 3 } }))
 */
export function sender(options: SenderOptions): Sender {
  const settings = senderSettings(options);
  const inFlight = new Set<Promise<unknown>>();
  let closed = false;

  const send = async (message: Message, given: SendOptions = {}): Promise<Message | undefined> => {
    if (closed) throw senderClosed(message.id);
    const sending = deliver(message, settings, given);
    inFlight.add(sending);
    try {
      return await sending;
    } finally {
      inFlight.delete(sending);
    }
  };

  return {
    traits: { name: "sender" },
    send,
    async process(ctx, message) {
      const reply = await send(message, ctx);
      if (reply !== undefined) ctx.reply(reply);
    },
    async close() {
      closed = true;
      await Promise.allSettled(inFlight);
    },
  };
}

async function deliver(message: Message, settings: SenderSettings, given: SendOptions): Promise<Message | undefined> {
  const { signal, deadline = Infinity } = given;
  const clock = settings.clock ?? given.clock ?? systemClock;
  const event = encodeEvent(withExtensions(toWire(message, settings.keys), settings), settings.mode, message.id);
  for (let attempt = 1; ; attempt += 1) {
    const result = await exchange(event, settings, { clock, signal });
    if (result.accepted) return result.reply && fromWire(result.reply, { ...settings.keys, fallbackKey: message.key });
    const pause = pauseAfter(attempt, result, settings);
    if (pause === undefined || clock.now() + pause >= deadline) throw sinkFailed(message.id, settings, attempt, result);
    await sleep(clock, pause, signal);
  }
}

function withExtensions({ attributes, data }: WireEvent, { extensions }: SenderSettings): WireEvent {
  return { attributes: Object.assign(Object.create(null), attributes, extensions), data };
}

/** Milliseconds to wait before the next attempt; `undefined` where there is to be none. */
function pauseAfter(attempt: number, { passing, retryAfter = 0 }: Failure, { retry, random }: SenderSettings): number | undefined {
  if (!passing || attempt >= retry.maxAttempts || retryAfter > retry.maxDelay) return undefined;
  return Math.max(retryAfter, random() * Math.min(retry.maxDelay, retry.baseDelay * 2 ** (attempt - 1)));
}

function sinkFailed(id: string, { url }: SenderSettings, attempts: number, { problem, retryAfter, cause }: Failure): EventDriverError {
  const often = attempts === 1 ? "" : `, at the last of ${attempts} attempts`;
  return new EventDriverError("ERR_SINK_FAILED", {
    message: `the sink ${url.shown} ${problem}${often}: message ${quote(id)} has to be sent again`,
    retryable: true,
    retryAfter,
    cause,
  });
}

function senderClosed(id: string): EventDriverError {
  return new EventDriverError("ERR_SENDER_CLOSED", {
    message: `the sender is closed, so message ${quote(id)} was not sent; deliver it again to a process that runs`,
    retryable: true,
  });
}
