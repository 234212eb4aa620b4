import { invalidOption } from "event-driver";

import type { SenderOptions, SenderOverrides } from "./sender-options.ts";

import { type Sender, sender } from "./sender.ts";
import { extensionSettings } from "./sender-settings.ts";
import { sinkUrl } from "./sink-url.ts";

const factory = "senderFromEnvironment";

/**
 * The sender that Knative's environment asks for: `K_SINK` is where to send to, `K_CE_OVERRIDES` what to set on every event.
 *
 * Use it in a service that a SinkBinding, a source or a trigger configures.
 *
 * @param environment for example `process.env`
 * @returns `undefined` where `K_SINK` is absent or empty
 * @throws EventDriverError `ERR_INVALID_OPTION`
 * @example const sink = senderFromEnvironment(process.env, { timeout: 5_000 });
 */
export function senderFromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  options: Omit<SenderOptions, "url" | "overrides"> = {},
): Sender | undefined {
  const { K_SINK: url, K_CE_OVERRIDES: overrides } = environment;
  if (!url) return undefined;
  sinkUrl(factory, "K_SINK", url);
  return sender({ ...options, url, overrides: overridesIn(overrides) });
}

function overridesIn(text: string | undefined): SenderOverrides {
  if (!text) return {};
  const parsed = parseObject(text);
  const extensions = parsed && "extensions" in parsed ? (parsed.extensions ?? {}) : {};
  if (parsed === undefined || typeof extensions !== "object" || Array.isArray(extensions)) {
    throw invalidOption(factory, "K_CE_OVERRIDES", "other text", 'JSON of the form {"extensions":{"name":"value"}}');
  }
  return { extensions: extensionSettings(factory, "K_CE_OVERRIDES", extensions) };
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
