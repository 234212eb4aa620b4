import { noPlace } from "./header-names.ts";

const colonCode = 0x3a;
const carriageReturnCode = 0x0d;
const spaceCode = 0x20;
const deleteCode = 0x7f;

/**
 * The headers of a record as one text, a line `name: value` each, as NATS has them: to take all of them apart costs more than to read those that matter.
 *
 * @example binding.read({ headers: new HeaderLines("ce-specversion: 1.0\r\nce-id: 1\r\n\r\n"), body }, place)
 */
export class HeaderLines implements Iterable<readonly [name: string, value: string]> {
  readonly #text: string;
  readonly #start: number;

  /** The lines from `start` on, to the first empty one or to the end. Each ends with CRLF. */
  constructor(text: string, start = 0) {
    this.#text = text;
    this.#start = start;
  }

  *[Symbol.iterator](): Iterator<readonly [name: string, value: string]> {
    const text = this.#text;
    for (let start = this.#start, end; (end = lineEnd(text, start)) > start; start = end + 2) {
      const name = nameIn(text, start, end);
      if (name !== undefined) yield [name, valueIn(text, start + name.length + 1, end)];
    }
  }

  /** Hands over what is for something, in its order. */
  read(names: LineNames, head: { take(place: string, value: string): void }): void {
    const text = this.#text;
    let at = 0;
    for (let start = this.#start, end; (end = lineEnd(text, start)) > start; start = end + 2) {
      const known = names.at(at, text, start, end);
      if (known === undefined) continue;
      at += 1;
      if (known.place !== noPlace) head.take(known.place, valueIn(text, start + known.name.length + 1, end));
    }
  }
}

interface KnownName {
  readonly name: string;
  /** What a header of this name is for. */
  readonly place: string;
}

/**
 * The names in the lines of the record before. Nearly all records of a stream have the same ones in the same order, and to see that costs less than to look up what
 * they are for.
 */
export class LineNames {
  readonly #placeOf: (header: string) => string;
  readonly #names: KnownName[] = [];

  constructor(placeOf: (header: string) => string) {
    this.#placeOf = placeOf;
  }

  /** The name in a line, the so-maniest of those that have one; `undefined` where it has none. */
  at(index: number, text: string, start: number, end: number): KnownName | undefined {
    const before = this.#names[index];
    if (before !== undefined && text.charCodeAt(start + before.name.length) === colonCode && text.startsWith(before.name, start))
      return before;
    const name = nameIn(text, start, end);
    return name === undefined ? undefined : (this.#names[index] = { name, place: this.#placeOf(name) });
  }
}

/** Where the CRLF of a line begins; before its start where there is none. */
function lineEnd(text: string, start: number): number {
  let at = text.indexOf("\n", start);
  while (at !== -1 && text.charCodeAt(at - 1) !== carriageReturnCode) at = text.indexOf("\n", at + 1);
  return at - 1;
}

function nameIn(text: string, start: number, end: number): string | undefined {
  const nameEnd = text.indexOf(":", start);
  return nameEnd === -1 || nameEnd > end ? undefined : text.slice(start, nameEnd);
}

/** Without the space around it. */
function valueIn(text: string, start: number, end: number): string {
  const from = text.charCodeAt(start) === spaceCode ? start + 1 : start;
  const value = text.slice(from, end);
  return isSolid(text.charCodeAt(from)) && isSolid(text.charCodeAt(end - 1)) ? value : value.trim();
}

function isSolid(code: number): boolean {
  return code > spaceCode && code < deleteCode;
}
