import type { EventResponse } from "./request.ts";

/** Statuses whose responses have no body. */
const bodiless: ReadonlySet<number> = new Set([204, 205, 304]);

const headerName = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
const headerText = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * A response that somebody else has made, as HTTP can carry it. What it cannot carry fails here, where the request can still be answered with
 * 500, and does not bring the process down when it is written.
 *
 * @param maker the option it comes from
 */
export function checkResponse(maker: string, response: EventResponse): EventResponse {
  const { status, headers = {} } = response;
  if (!Number.isInteger(status) || status < 200 || status > 599) throw new Error(`${maker} gave a status that is not from 200 to 599`);
  for (const [name, value] of Object.entries(headers)) {
    if (!headerName.test(name) || !headerText.test(value))
      throw new Error(`${maker} gave a header that HTTP cannot carry, or a name that is not in lower case: ${JSON.stringify(name)}`);
  }
  return bodiless.has(status) ? { status, headers } : response;
}
