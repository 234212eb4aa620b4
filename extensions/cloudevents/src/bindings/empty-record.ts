const nothing: object = Object.create(null);

/** An object that inherits nothing, so any name is only a name. One without any prototype would be a hash table, which is filled and read at half the speed. */
export function emptyRecord(): Record<string, string> {
  return Object.create(nothing);
}
