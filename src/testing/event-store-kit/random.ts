import { createMessage, type Message, type StorableContent } from "../../message.ts";
import { everyHostileString } from "./hostile-strings.ts";

/** Random choices that are the same in every run, so that what has failed once fails again. */
export interface Random {
  /** A whole number from 0 to below `end`. */
  below(end: number): number;
  pick<Item>(items: readonly [Item, ...Item[]]): Item;
  text(): string;
  message(): Message;
}

/** A small generator of its own: this module may depend on no test library. The numbers are those of mulberry32. */
export function seededRandom(seed: number): Random {
  let state = seed;

  const below = (end: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % end;
  };
  const maybe = <Item>(make: () => Item): Item | undefined => (below(2) === 0 ? undefined : make());
  const codeUnits = (length: number): string => String.fromCharCode(...Array.from({ length }, () => below(0x10000)));
  const text = (): string => (below(2) === 0 ? (everyHostileString[below(everyHostileString.length)] ?? "") : codeUnits(below(20)));
  const bytes = (): Uint8Array => Uint8Array.from({ length: below(40) }, () => below(256));
  const content = (): StorableContent => (below(2) === 0 ? text() : bytes());
  const attributes = (): Record<string, string> => Object.fromEntries(Array.from({ length: below(4) }, () => [text(), text()]));

  return {
    below,
    pick: ([first, ...others]) => others[below(others.length + 1) - 1] ?? first,
    text,
    message() {
      const [origin, type, time] = [maybe(text), maybe(text), maybe(text)];
      return createMessage({
        id: text(),
        key: text(),
        source: text(),
        ...(origin !== undefined && { origin }),
        ...(type !== undefined && { type }),
        ...(time !== undefined && { time }),
        content: content(),
        attributes: attributes(),
      });
    },
  };
}
