import { isEventDriverError } from "event-driver";

const shownCauses = 3;

/** An error and what caused it, in one line that a terminal can show, without the secrets of addresses. */
export function inOneLine(error: unknown): string {
  const words: string[] = [];
  for (let at = error; at !== undefined && words.length < shownCauses; at = at instanceof Error ? at.cause : undefined)
    words.push(wordsOf(at));
  return printable(withoutSecrets(words.join(": ")));
}

/** Addresses without user, password and query. */
export function withoutSecrets(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]*:\/\/)(?:[^\s/?#@]*@)?([^\s?#]*)(?:[?#]\S*)?/gi, "$1$2");
}

/** Text of whatever origin as a terminal may show it: what could move its cursor or change its colours is written out. */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) =>
    character === "\n" ? " " : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return isEventDriverError(error) ? `${error.message} (${error.code})` : error.message;
}
