import type { StandardSchemaV1 } from "@standard-schema/spec";

import { invalidOption } from "../../errors.ts";

/** Refuses what is no Standard Schema, such as one of a library that is too old to be one. */
export function requireSchema(factory: string, schema: Partial<StandardSchemaV1<unknown, unknown>> | undefined): void {
  if (typeof schema?.["~standard"]?.validate !== "function")
    throw invalidOption(factory, "schema", schema, 'a Standard Schema: an object with "~standard".validate');
}
