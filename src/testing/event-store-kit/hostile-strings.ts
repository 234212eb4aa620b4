/** Strings that stores are known to lose, change or confuse, by what they have in common. Those of one group are near each other. */
export const hostileStrings: Readonly<Record<string, readonly string[]>> = {
  "the empty one": ["", " ", "a"],
  slashes: ["a/b", "a//b", "/a/b", "a/b/", "/", "a\\b", "a"],
  "dots and other separators": [".", "..", "../a", "a.b", "a:b", "a|b", "a#b", "a?b", "a&b=c", "a,b"],
  "white space at the ends": ["a", " a", "a ", "a\t", "a\n", "\u00A0a"],
  "line ends": ["a\nb", "a\r\nb", "a\rb", "a\u2028b"],
  NUL: ["\0", "a\0", "a\0b", "a"],
  "quotes and SQL": ["'", '"', "`", "''", "'; DROP TABLE entries; --", "$1", "?"],
  "wildcards and percent signs": ["%", "a%", "_", "ab", "*", "a*", "[ab]", "%2F", "%25", "/"],
  "emoji and other planes": ["👩‍👩‍👧", "👩", "😀", "\u{10FFFF}", "한국어", "\u202Eabc", "\uFEFFa", "a"],
  "NFC and NFD": ["\u00E9", "e\u0301", "\u212B", "\u00C5", "A\u030A"],
  "lone surrogates": ["\uD800", "\uDBFF", "\uDC00", "a\uD800b", "\uDC00\uD800", "\uFFFD", "a\uFFFDb"],
  "upper and lower case": ["key", "Key", "KEY", "straße", "STRASSE", "İ", "i"],
  "names that JavaScript reserves": ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "then", "length"],
  "what looks like another type": ["null", "undefined", "true", "0", "00", "-0", "1", "1.0", "1e3", "1000", "NaN", "{}", "[]"],
  "prefixes of one another": ["k", "ke", "key", "key-", "key-1", "key-10", "key~"],
  "1,000 characters": ["x".repeat(1_000), `${"x".repeat(999)}y`, "x".repeat(999), "/".repeat(1_000), "€".repeat(1_000), "😀".repeat(500)],
};

/** All of them, each once. */
export const everyHostileString: readonly string[] = [...new Set(Object.values(hostileStrings).flat())];
