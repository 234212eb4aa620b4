/** Whoever has more names than this makes them up as he goes. */
const maxKnown = 1_000;

/** The name of the header that an attribute goes into. It is remembered: to join two strings for each message, and to hash them, costs more than a look-up. */
export function headerNaming(prefix: string): (attribute: string) => string {
  const known = new Map<string, string>();

  return (attribute) => {
    const before = known.get(attribute);
    if (before !== undefined) return before;
    const name = prefix + attribute;
    if (known.size < maxKnown) known.set(attribute, name);
    return name;
  };
}
