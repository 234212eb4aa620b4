import type { StorableContent } from "event-driver";

import { type EventHandlerOptions, type EventRequest, type EventResponse, receiver, type ReceivedEvents } from "@event-driver/cloudevents";
import {
  createMessage,
  decode,
  type DecodedMessage,
  isEventDriverError,
  type Message,
  pipeline,
  type Processor,
  withKey,
} from "event-driver";

import type { HttpFunction } from "./to-http-function.ts";

type FittingOptions =
  | "authenticate"
  | "bodyBytes"
  | "clock"
  | "concurrency"
  | "contentEncodings"
  | "deadline"
  | "health"
  | "logger"
  | "path"
  | "queue"
  | "requestTime";

export interface TypedFunctionOptions<Content> extends Pick<EventHandlerOptions, FittingOptions> {
  /** Checks and types what is sent; any Standard Schema will do. */
  readonly schema: Parameters<typeof decode<Content>>[0];
  /** Short name of what messages come from. */
  readonly source: string;
  /** @default none */
  readonly type?: string | undefined;
  /**
   * The key of a message.
   * @default its id
   */
  readonly key?: ((content: Content) => string) | undefined;
}

/**
 * A pipeline as an HTTP function that takes plain JSON, typed by a schema, and answers with the content of the message given to `ctx.reply`.
 *
 * Use it for callers that know nothing of CloudEvents, and register it with `functions.http`. The caller's `Idempotency-Key` header is the id of
 * the message, so that behind `idempotency` a request that is sent again is done once; without that header each request is a message of its own.
 * What does not fit the schema is answered with 400 and the paths that do not fit, any other failure by the table of the receiver.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example functions.http("charge", toTypedFunction(charges, { schema: Charge, source: "charges", key: ({ order }) => order }));
 */
export function toTypedFunction<Content>(target: Processor<Message<Content>>, options: TypedFunctionOptions<Content>): HttpFunction {
  const { schema, source, type, key, ...rest } = options;
  const typed = pipeline()
    .use(decode(schema))
    .use(async function typed(ctx, message: DecodedMessage<Content>) {
      await target.process(ctx, key === undefined ? message : withKey(message, key(message.content)));
    });
  const processor: Processor = {
    process: (ctx, message) => typed.process(ctx, message),
    processBatch: (ctx, messages, batch) => typed.processBatch(ctx, messages, batch),
    sweep: (ctx) => target.sweep(ctx),
  };
  return receiver(processor, {
    ...rest,
    readEvents: (body) => [{ attributes: {}, data: body }],
    toMessage: ({ data = "" }, request) => messageOf(data, request, { source, type }),
    toResult: answer,
  }).requestListener;
}

function messageOf(
  content: StorableContent,
  { headers }: EventRequest,
  parts: { readonly source: string; readonly type: string | undefined },
): Message {
  const id = idIn(headers.get("idempotency-key")) ?? crypto.randomUUID();
  const { source, type } = parts;
  const traceparent = headers.get("traceparent");
  return createMessage({
    id,
    key: id,
    source,
    ...(type !== undefined && { type }),
    content,
    attributes: { datacontenttype: "application/json", ...(traceparent !== undefined && { traceparent }) },
  });
}

/** A quoted string, as the IETF's draft has it, or bare, as many send it. */
function idIn(header: string | undefined): string | undefined {
  const id = header?.trim().replace(/^"(.*)"$/, "$1");
  return id === "" ? undefined : id;
}

function answer({ outcomes: [outcome] }: ReceivedEvents): EventResponse | undefined {
  if (outcome?.status === "done" && outcome.reply !== undefined) {
    const { content, attributes } = outcome.reply;
    return { status: 200, headers: { "content-type": attributes["datacontenttype"] ?? "application/json" }, body: content };
  }
  if (outcome?.status !== "failed" || !isEventDriverError(outcome.error) || outcome.error.code !== "ERR_DECODE_FAILED") return undefined;
  const { code, message: detail } = outcome.error;
  return {
    status: 400,
    headers: { "content-type": "application/problem+json" },
    body: JSON.stringify({ type: "about:blank", title: "Bad Request", status: 400, code, detail }),
  };
}
