/** Whoever has more names than this makes them up as he goes. */
const most = 1_000;

/** `find`, which is asked once for each name: the same few come with every record, and to look one up costs less than to put it together or to take it apart. */
export function remembered(find: (name: string) => string): (name: string) => string {
  const known = new Map<string, string>();

  return (name) => {
    const before = known.get(name);
    if (before !== undefined) return before;
    const found = find(name);
    if (known.size < most) known.set(name, found);
    return found;
  };
}
