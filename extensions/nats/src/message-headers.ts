import type { MsgHdrs } from "@nats-io/transport-node";

import { type EventRecord, HeaderLines } from "@event-driver/cloudevents/bindings";
import { MsgImpl } from "@nats-io/nats-core/internal";

type Header = readonly [name: string, value: string];

const decoder = new TextDecoder();
const firstLineEnd = "\n";

/**
 * The headers of a message, in their order; what stands in the first line, such as a status, is none of them.
 *
 * Read from the bytes where the client gives them to its own libraries: it checks and looks up each header that it reads, which takes longer than all else that
 * is done with a message.
 */
export function headersOf(message: { readonly headers?: MsgHdrs | undefined }): EventRecord["headers"] {
  return message instanceof MsgImpl ? linesOf(message) : listed(message.headers);
}

function linesOf({ _rdata: bytes, _msg: { hdr: length } }: MsgImpl): EventRecord["headers"] {
  if (length <= 0) return [];
  const text = decoder.decode(bytes.subarray(0, length));
  return new HeaderLines(text, text.indexOf(firstLineEnd) + 1);
}

function listed(headers: Iterable<[string, string[]]> | undefined): readonly Header[] {
  return Array.from(headers ?? [], ([name, values]) => values.map((value): Header => [name, value])).flat();
}
