import { fromBase64, type Message } from "event-driver";

/** Why Knative has sent an event to a dead letter sink. */
export interface KnativeFailure {
  /** The URL that would not take the event. */
  readonly destination: string | undefined;
  /** The HTTP status of its last answer; 500 where there was none. */
  readonly code: number | undefined;
  /** The beginning of its last answer, or why there was none. `""` where the answer was empty. Whoever wrote it is not to be trusted. */
  readonly data: string | undefined;
}

/** Knative cuts the attribute after so many characters. */
const dataLimit = 1_024;

/**
 * Why an event could not be delivered, as Knative tells a dead letter sink in the extensions `knativeerrordest`, `knativeerrorcode` and
 * `knativeerrordata`.
 *
 * Use it in the pipeline behind a `deadLetterSink`. `data` is out of its base64; what older releases sent as plain text is that text. An answer
 * of this package's receiver is JSON with the `code` of the error, as far as it was not cut.
 *
 * @returns `undefined` for an event that none of these came with
 * @example ctx.logger.warn({ id: message.id, status: knativeFailure(message)?.code }, "an event could not be delivered");
 */
export function knativeFailure({ attributes }: Pick<Message<unknown>, "attributes">): KnativeFailure | undefined {
  const { knativeerrordest: destination, knativeerrorcode: code, knativeerrordata: data } = attributes;
  if (destination === undefined && code === undefined && data === undefined) return undefined;
  return { destination, code: code !== undefined && /^\d{3}$/.test(code) ? Number(code) : undefined, data: data && textOf(data) };
}

function textOf(given: string): string {
  const text = given.slice(0, dataLimit);
  try {
    // As part of a longer text: where it was cut may be in the middle of a character.
    return new TextDecoder("utf-8", { fatal: true }).decode(fromBase64(text), { stream: true });
  } catch {
    return text;
  }
}
