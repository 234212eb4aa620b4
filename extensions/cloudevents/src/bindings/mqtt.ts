import type { Binding, BindingOptions } from "./binding.ts";

import { createBinding } from "./create-binding.ts";

/**
 * How MQTT 5 carries CloudEvents (MQTT protocol binding 1.0.2): attributes in user properties of just their names, the type of the data in the property
 * Content Type.
 *
 * Because there is no prefix, a message is taken for an event where it has the user property `specversion`, and all its other user properties of fitting names
 * are attributes then. MQTT 3.1.1 has no properties at all: a message without attributes and content type is read as an event where its payload is one in JSON.
 *
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example const { headers, contentType, body } = mqttBinding().write(message);
 */
export function mqttBinding(options: BindingOptions = {}): Binding {
  // MQTT 5, section 1.5.4: a string is at most so many bytes.
  return createBinding(
    { factory: "mqttBinding", prefix: "", contentType: "field", keyed: false, bytes: "text", bareJson: true, maxBytes: 65_535 },
    options,
  );
}
