import { toBase64 } from "event-driver";

import { isObject, type JsonObject } from "../receive/json-fields.ts";

const address = "http://function/";
const attributeName = /^[a-z0-9]+$/;
const headerText = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * The request that the functions framework has made an event of, as far as the event still tells.
 *
 * The framework takes the body apart by its content type, which it then forgets: JSON is parsed, text is text, anything else bytes. Attributes of
 * binary mode are header fields as they came, escapes included. Whatever is no CloudEvent, a batch among it, is handed over as the bare body.
 */
export function requestOf(event: unknown): Request {
  if (event instanceof Uint8Array) return post("application/cloudevents-batch+json", new Uint8Array(event));
  if (!isObject(event)) return post("application/cloudevents+json", JSON.stringify(event) ?? "");
  return isFromHeader(event) ? binary(event) : structured(event);
}

/** Only structured mode tells the type of the data, and what is not text or does not fit a header. */
function isFromHeader({ data: _data, ...attributes }: JsonObject): boolean {
  if (attributes["datacontenttype"] !== undefined || attributes["data_base64"] !== undefined) return false;
  return Object.entries(attributes).every(
    ([name, value]) => attributeName.test(name) && typeof value === "string" && headerText.test(value),
  );
}

function binary({ data, ...attributes }: JsonObject): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(attributes)) headers.set(`ce-${name}`, String(value));
  if (data === undefined) return new Request(address, { method: "POST", headers });
  const [contentType, body] = bodyOf(data);
  headers.set("content-type", contentType);
  return new Request(address, { method: "POST", headers, body });
}

function bodyOf(data: unknown): readonly [contentType: string, body: string | Uint8Array<ArrayBuffer>] {
  if (data instanceof Uint8Array) return ["application/octet-stream", new Uint8Array(data)];
  return typeof data === "string" ? ["text/plain", data] : ["application/json", JSON.stringify(data)];
}

function structured({ data, ...attributes }: JsonObject): Request {
  const members = data instanceof Uint8Array ? { ...attributes, data_base64: toBase64(data) } : { ...attributes, data };
  return post("application/cloudevents+json", JSON.stringify(members));
}

function post(contentType: string, body: string | Uint8Array<ArrayBuffer>): Request {
  return new Request(address, { method: "POST", headers: { "content-type": contentType }, body });
}
