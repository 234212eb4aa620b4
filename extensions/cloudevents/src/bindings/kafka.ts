import type { Binding, BindingOptions } from "./binding.ts";

import { createBinding } from "./create-binding.ts";

/**
 * How Kafka carries CloudEvents (Kafka protocol binding 1.0.2): attributes in headers `ce_...`, the type of the data in `content-type`, both as UTF-8.
 *
 * The message's key is the record's key (section 3.1); a record's key is read in the place of an absent attribute `partitionkey`. No data is an empty value
 * and not `null`, which would be a tombstone to a compacted topic; `null` is read as no data.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example const { headers, key, body } = kafkaBinding().write(message);
 */
export function kafkaBinding(options: BindingOptions = {}): Binding {
  return createBinding({ factory: "kafkaBinding", prefix: "ce_", contentType: "header", keyed: true, bytes: "text" }, options);
}
