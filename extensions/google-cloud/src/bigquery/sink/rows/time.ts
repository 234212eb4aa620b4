/** Hours end at 23 and seconds at 60, for a leap second is a second too. */
const timestamp = /^(\d{4}-\d\d-\d\d)[Tt ]((?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d|60)(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))$/;

const earliest = -62_135_596_800_000_000n;
const latest = 253_402_300_799_999_999n;

/** Microseconds since the epoch; `undefined` where the text is not RFC 3339, or not of the years 1 to 9999. Digits beyond microseconds are cut off. */
export function microsecondsOf(text: string): bigint | undefined {
  const [, date, time, seconds, fraction = "", sign, hours, minutes] = timestamp.exec(text) ?? [];
  const day = date === undefined ? undefined : daysOf(date);
  if (day === undefined) return undefined;
  const offset = sign === undefined ? 0 : Number(`${sign}1`) * (Number(hours) * 60 + Number(minutes));
  const wholeSeconds = day * 86_400 + secondsOf(`${time}:${seconds}`) - offset * 60;
  return inRange(BigInt(wholeSeconds) * 1_000_000n + BigInt(fraction.slice(0, 6).padEnd(6, "0")));
}

/** The same of a Date; `undefined` where that is invalid. */
export function microsecondsOfDate(date: Date): bigint | undefined {
  const milliseconds = date.getTime();
  return Number.isNaN(milliseconds) ? undefined : inRange(BigInt(milliseconds) * 1_000n);
}

/** Days since the epoch of a date such as `2026-07-01`; `undefined` where there is no such day. */
export function daysOf(date: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\d$/.test(date) || date < "0001-01-01") return undefined;
  const milliseconds = Date.parse(`${date}T00:00:00Z`);
  // Not every engine refuses the 30th of February.
  if (Number.isNaN(milliseconds) || !new Date(milliseconds).toISOString().startsWith(date)) return undefined;
  return milliseconds / 86_400_000;
}

/** Canonical text of a timestamp, as insertAll takes it. */
export function timestampText(microseconds: bigint): string {
  const fraction = ((microseconds % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const seconds = Number((microseconds - fraction) / 1_000_000n);
  return `${new Date(seconds * 1_000).toISOString().slice(0, 19)}.${String(fraction).padStart(6, "0")}Z`;
}

/** Canonical text of a day. */
export function dateText(days: number): string {
  return new Date(days * 86_400_000).toISOString().slice(0, 10);
}

function secondsOf(time: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = time.split(":").map(Number);
  return hours * 3_600 + minutes * 60 + seconds;
}

function inRange(microseconds: bigint): bigint | undefined {
  return microseconds >= earliest && microseconds <= latest ? microseconds : undefined;
}
