import type { StandardSchemaV1 } from "@standard-schema/spec";

import type { Context } from "../../context.ts";
import type { Message } from "../../message.ts";
import type { AnyMessage, Handler, Next } from "../../pipeline/handler.ts";

import { EventDriverError, quote } from "../../errors.ts";
import { createMessage, withAttributes } from "../../message.ts";
import { describeIssues } from "./issues.ts";
import { requireSchema } from "./require-schema.ts";

/**
 * Turns content into JSON text, so that a message can be stored or sent again.
 *
 * Use it behind `decode` and the stages that work on typed values. With a schema, it is what the schema makes of the content that is written, and
 * what does not fit is never written. A text becomes a JSON string. A `datacontenttype` that is not one of JSON becomes `application/json`.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`; the message fails with `ERR_ENCODE_FAILED`, terminal
 * @example pipeline().use(decode(Order)).use(addTax).use(encode()).use(publish)
 */
export function encode(): Handler<AnyMessage, Message<string>>;
export function encode<Input>(schema: StandardSchemaV1<Input, unknown>): Handler<Message<Input>, Message<string>>;
export function encode(schema?: StandardSchemaV1<unknown, unknown>): Handler<AnyMessage, Message<string>> {
  if (schema !== undefined) requireSchema("encode", schema);

  return {
    traits: { name: "encode" },
    process(ctx, message, next) {
      if (schema === undefined) return write(message.content, ctx, message, next);
      const result = schema["~standard"].validate(message.content);
      if (result instanceof Promise) return result.then((later) => settle(later, ctx, message, next));
      return settle(result, ctx, message, next);
    },
  };
}

function settle(
  result: StandardSchemaV1.Result<unknown>,
  ctx: Context,
  message: AnyMessage,
  next: Next<Context, Message<string>>,
): Promise<void> {
  if (result.issues) throw encodeFailed(message, describeIssues(result.issues, message.content));
  return write(result.value, ctx, message, next);
}

function write(value: unknown, ctx: Context, message: AnyMessage, next: Next<Context, Message<string>>): Promise<void> {
  // Made anew, for a decoded message carries more than a message does.
  const encoded = createMessage({ ...message, content: toJson(value, message) });
  return next(
    ctx,
    isJsonType(message.attributes["datacontenttype"]) ? encoded : withAttributes(encoded, { datacontenttype: "application/json" }),
  );
}

function toJson(value: unknown, message: AnyMessage): string {
  if (value instanceof Uint8Array) throw encodeFailed(message, "it is bytes, which JSON cannot hold");
  let json: string | undefined;
  try {
    json = JSON.stringify(value);
  } catch (cause) {
    throw encodeFailed(message, "JSON cannot hold it", cause);
  }
  if (json === undefined) throw encodeFailed(message, `it is ${typeof value}, which JSON cannot hold`);
  return json;
}

/** No content type means JSON, as CloudEvents has it. */
function isJsonType(type: string | undefined): boolean {
  return type === undefined || /^[^;]*[/+]json\s*(;|$)/i.test(type);
}

function encodeFailed(message: AnyMessage, problem: string, cause?: unknown): EventDriverError {
  return new EventDriverError("ERR_ENCODE_FAILED", {
    message: `the content of message ${quote(message.id)} cannot be written as JSON: ${problem}; correct the stage in front`,
    retryable: false,
    cause,
  });
}
