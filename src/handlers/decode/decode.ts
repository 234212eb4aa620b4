import type { StandardSchemaV1 } from "@standard-schema/spec";

import type { Context } from "../../context.ts";
import type { Message, StorableContent } from "../../message.ts";
import type { Handler, Next } from "../../pipeline/handler.ts";

import { EventDriverError, invalidOption, quote } from "../../errors.ts";
import { describeIssues } from "./issues.ts";
import { parseJson } from "./parse-json.ts";
import { requireSchema } from "./require-schema.ts";

export interface DecodeOptions {
  /**
   * How many objects and arrays may stand inside one another in JSON content. A hostile depth would overflow the stack of whoever walks it.
   * @default 128
   */
  readonly maxDepth?: number;
  /**
   * Reads content that is not JSON. Throwing says that it can never be read.
   * @default JSON; bytes must be valid UTF-8
   */
  readonly parse?: (content: StorableContent, message: Message) => unknown;
}

/** A message with typed content, and the one it was read from. */
export interface DecodedMessage<Content> extends Message<Content> {
  /** As it was before: what to store or send on where not a digit may be lost, for typed numbers round what their text may hold. */
  readonly encoded: Message;
}

/**
 * Turns content into typed values: reads it as JSON, has a schema check it, and passes on what the schema made of it.
 *
 * Takes any Standard Schema (zod, valibot, arktype ...), synchronous or not. Put it behind the stages that store messages, such as a joiner:
 * what comes out is no longer text, and the compiler refuses to give it to them.
 *
 * Content that does not fit fails the message for good. The error has the paths and messages of the schema's issues, but not the values found
 * there. What the schema itself throws, as when a check of its own cannot reach a server, fails the message as it is.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; the message fails with `ERR_DECODE_FAILED`, terminal
 * @example
 * const Order = z.object({ total: z.number() });
 * pipeline().use(decode(Order)).use(async (ctx, order) => { await charge(order.content.total); });
 */
export function decode<Output>(
  schema: StandardSchemaV1<unknown, Output>,
  { maxDepth = 128, parse }: DecodeOptions = {},
): Handler<Message, DecodedMessage<Output>> {
  requireSchema("decode", schema);
  if (!Number.isInteger(maxDepth) || maxDepth < 1) throw invalidOption("decode", "maxDepth", maxDepth, "a whole number from 1");
  const read = parse === undefined ? (message: Message) => readJson(message, maxDepth) : (message: Message) => readWith(parse, message);

  return {
    traits: { name: "decode" },
    process(ctx, message, next) {
      const found = read(message);
      const result = schema["~standard"].validate(found);
      if (result instanceof Promise) return result.then((later) => settle(later, found, ctx, message, next));
      return settle(result, found, ctx, message, next);
    },
  };
}

function readJson(message: Message, maxDepth: number): unknown {
  const result = parseJson(message.content, maxDepth);
  if ("problem" in result) throw decodeFailed(message, result.problem);
  return result.value;
}

function readWith(parse: NonNullable<DecodeOptions["parse"]>, message: Message): unknown {
  try {
    return parse(message.content, message);
  } catch (cause) {
    throw decodeFailed(message, "it cannot be read", cause);
  }
}

function settle<Output>(
  result: StandardSchemaV1.Result<Output>,
  found: unknown,
  ctx: Context,
  message: Message,
  next: Next<Context, DecodedMessage<Output>>,
): Promise<void> {
  if (result.issues) throw decodeFailed(message, describeIssues(result.issues, found));
  return next(ctx, { ...message, content: result.value, encoded: message });
}

function decodeFailed(message: Message, problem: string, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_DECODE_FAILED", {
    message: `the content of message ${quote(message.id)} does not fit: ${problem}; correct its sender, or the schema`,
    retryable: false,
    cause,
  });
}
