import type { MsgHdrs } from "@nats-io/transport-node";

import { MsgImpl } from "@nats-io/nats-core/internal";

type Header = readonly [name: string, value: string];

const decoder = new TextDecoder();
const lineEnd = "\r\n";

/**
 * The headers of a message, in their order; what stands in the first line, such as a status, is none of them.
 *
 * Read from the bytes where the client gives them to its own libraries: it checks and looks up each header that it reads, which takes longer than all else that
 * is done with a message.
 */
export function headersOf(message: { readonly headers?: MsgHdrs | undefined }): readonly Header[] {
  return message instanceof MsgImpl ? read(message) : listed(message.headers);
}

function read({ _rdata: bytes, _msg: { hdr: length } }: MsgImpl): readonly Header[] {
  if (length <= 0) return [];
  const text = decoder.decode(bytes.subarray(0, length));
  const headers: Header[] = [];
  for (let start = text.indexOf(lineEnd) + 2, end; (end = text.indexOf(lineEnd, start)) > start; start = end + 2) {
    const colon = text.indexOf(":", start);
    if (colon === -1 || colon > end) continue;
    headers.push([text.slice(start, colon), text.slice(colon + 1, end).trim()]);
  }
  return headers;
}

function listed(headers: Iterable<[string, string[]]> | undefined): readonly Header[] {
  return Array.from(headers ?? [], ([name, values]) => values.map((value): Header => [name, value])).flat();
}
