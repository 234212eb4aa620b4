// RFC 3339, section 5.6, in the parts that decide an instant.
const timestamp = /^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)$/;

/** A moment as whole seconds since the epoch, and the digits after the decimal point: event times are often finer than a number holds. */
interface Instant {
  readonly seconds: number;
  readonly fraction: string;
}

/** Compares two event times by the instants they name. An absent one, or one that is no RFC 3339 text, is older than any other. */
export function compareTimes(left: string | undefined, right: string | undefined): number {
  if (left === right) return 0;
  const a = parse(left);
  const b = parse(right);
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  return a.seconds - b.seconds || compareText(a.fraction, b.fraction);
}

/** Compares by UTF-16 code units: the same on every machine. */
export function compareText(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function parse(time: string | undefined): Instant | undefined {
  const [, date, minute, second, digits = "", offset] = timestamp.exec(time ?? "") ?? [];
  // A leap second is written as 60, which Date does not know: it falls together with the second after it.
  const leap = second === "60" ? 1 : 0;
  const seconds = Date.parse(`${date}T${minute}:${leap ? "59" : second}${offset?.toUpperCase()}`) / 1_000 + leap;
  // Trailing zeros name no other instant.
  return Number.isNaN(seconds) ? undefined : { seconds, fraction: digits.replace(/0+$/, "") };
}
