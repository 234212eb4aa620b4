import type { Binding, BindingOptions } from "./binding.ts";

import { createBinding } from "./create-binding.ts";

/**
 * How Pulsar carries CloudEvents: properties `ce_...` and `content-type`, as with Kafka.
 *
 * CloudEvents has no binding for Pulsar, only a draft of 2018 from before 1.0. These names are those that producers in other languages use, and they stay as
 * they are where a connector takes records to Kafka or from there.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example const { headers, key, body } = pulsarBinding().write(message);
 */
export function pulsarBinding(options: BindingOptions = {}): Binding {
  return createBinding({ factory: "pulsarBinding", prefix: "ce_", contentType: "header", keyed: true, bytes: "text" }, options);
}
