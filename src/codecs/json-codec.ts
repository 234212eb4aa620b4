import type { StandardSchemaV1 } from "@standard-schema/spec";

import { EventDriverError, isEventDriverError } from "../errors.ts";
import { describeIssues } from "../handlers/decode/issues.ts";
import { parseJson } from "../handlers/decode/parse-json.ts";
import { requireSchema } from "../handlers/decode/require-schema.ts";
import { type Codec, type CodecOptions, requireNamed, unreadable } from "./codec.ts";

/** How many objects and arrays may stand inside one another, as with `decode`. */
const maxDepth = 128;

/**
 * Values as JSON; what is read must fit the schema, where one is given.
 *
 * Takes any Standard Schema (zod, valibot, arktype ...), synchronous or not. What is written is not checked: the types do that. Every media type of JSON is
 * read, such as `application/vnd.order+json`. Numbers come back as JavaScript has them; where no digit may be lost, do without a codec.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example const orders = jsonCodec(z.object({ total: z.number() }), { dataSchema: "https://shop.example/order/1" });
 */
export function jsonCodec(schema?: undefined, options?: CodecOptions): Codec<unknown>;
export function jsonCodec<Output>(schema: StandardSchemaV1<unknown, Output>, options?: CodecOptions): Codec<Output>;
export function jsonCodec(schema?: StandardSchemaV1<unknown, unknown>, { dataSchema }: CodecOptions = {}): Codec<unknown> {
  if (schema !== undefined) requireSchema("jsonCodec", schema);
  requireNamed("jsonCodec", "dataSchema", dataSchema);

  return {
    contentType: "application/json",
    dataSchema,
    encode: toJson,
    decode(content) {
      const result = parseJson(content, maxDepth);
      if ("problem" in result) throw unreadable(result.problem);
      return schema === undefined ? result.value : check(schema, result.value);
    },
  };
}

function toJson(value: unknown): string {
  if (value instanceof Uint8Array) throw new TypeError("it is bytes, which JSON cannot hold");
  const json: string | undefined = JSON.stringify(value);
  if (json === undefined) throw new TypeError(`it is ${typeof value}, which JSON cannot hold`);
  return json;
}

function check(schema: StandardSchemaV1<unknown, unknown>, value: unknown): unknown {
  let result: ReturnType<(typeof schema)["~standard"]["validate"]>;
  try {
    result = schema["~standard"].validate(value);
  } catch (cause) {
    throw undecided(cause);
  }
  if (!(result instanceof Promise)) return outputOf(result, value);
  return result.then(
    (later) => outputOf(later, value),
    (cause: unknown) => {
      throw undecided(cause);
    },
  );
}

function outputOf(result: StandardSchemaV1.Result<unknown>, value: unknown): unknown {
  if (result.issues) throw unreadable(describeIssues(result.issues, value));
  return result.value;
}

/** What the schema itself throws, as when a check of its own cannot reach a server, says nothing of the content. */
function undecided(cause: unknown): EventDriverError {
  if (isEventDriverError(cause)) return cause;
  return new EventDriverError("ERR_HANDLER_FAILED", { message: "the schema itself has failed", retryable: true, cause });
}
