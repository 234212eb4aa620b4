import type { Binding, BindingOptions } from "./binding.ts";

import { createBinding } from "./create-binding.ts";
import { isPlain } from "./header-text.ts";

/** A short string of AMQP 0.9.1, as the content type and the names of headers are. */
const shortString = 255;

/**
 * How AMQP carries CloudEvents (AMQP protocol binding 1.0.2): attributes in application properties `cloudEvents:...`, the type of the data in the field
 * `content-type`.
 *
 * `cloudEvents_...` is read too, as JMS clients and version 1.0.3 write it, and so are values of AMQP's own types (section 3.1.3.2). AMQP 0.9.1, which the
 * binding does not speak of, has a table of headers instead; RabbitMQ makes the one of the other.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example const { headers, contentType, body } = amqpBinding().write(message);
 */
export function amqpBinding(options: BindingOptions = {}): Binding {
  return createBinding(
    {
      factory: "amqpBinding",
      prefix: "cloudEvents:",
      otherPrefix: "cloudEvents_",
      contentType: "field",
      fitsContentType: (type) => type.length <= shortString && isPlain(type),
      keyed: false,
      bytes: "binary",
      maxName: shortString,
    },
    options,
  );
}
