import type { Binding, BindingOptions } from "./binding.ts";

import { decodeHeaderValue, encodeHeaderValue } from "../http/header-value.ts";
import { createBinding } from "./create-binding.ts";

/**
 * How NATS carries CloudEvents (NATS protocol binding 1.0.3): attributes in headers `ce-...` with percent encoding (section 3.1.3.2), the type of the data
 * among them.
 *
 * 1.0.2 is from before NATS had headers, and knows structured mode alone: a message without attributes and content type is read as an event where its payload is one in JSON.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example const { headers, body } = natsBinding().write(message);
 */
export function natsBinding(options: BindingOptions = {}): Binding {
  return createBinding(
    {
      factory: "natsBinding",
      prefix: "ce-",
      anyCase: true,
      contentType: "attribute",
      keyed: false,
      bytes: "text",
      bareJson: true,
      escape: encodeHeaderValue,
      unescape: decodeHeaderValue,
    },
    options,
  );
}
