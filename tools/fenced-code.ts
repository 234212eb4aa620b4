/** A fenced code block of a Markdown page. */
export interface FencedCode {
  /** What stands behind the opening fence. */
  readonly info: string;
  readonly code: string;
  /** Number of the opening fence's line, counted from 1. */
  readonly line: number;
}

/**
 * The fenced code blocks of a Markdown page, in their order; a block inside a list loses the list's indentation.
 *
 * @throws Error naming the line of a fence that is never closed: everything behind it would be code
 */
export function fencedCode(markdown: string): readonly FencedCode[] {
  const blocks: FencedCode[] = [];
  let open:
    | { readonly fence: string; readonly indent: number; readonly info: string; readonly line: number; readonly code: string[] }
    | undefined;

  for (const [index, text] of markdown.split(/\r?\n/).entries()) {
    const [, indent = "", fence = "", info = ""] = /^([ \t]*)(`{3,}(?!.*`)|~{3,})(.*)$/.exec(text) ?? [];
    if (open === undefined) {
      if (fence !== "") open = { fence, indent: indent.length, info: info.trim(), line: index + 1, code: [] };
    } else if (fence.startsWith(open.fence) && info.trim() === "") {
      blocks.push({ info: open.info, line: open.line, code: open.code.map((line) => `${line}\n`).join("") });
      open = undefined;
    } else {
      open.code.push(text.slice(Math.min(open.indent, text.length - text.trimStart().length)));
    }
  }

  if (open !== undefined) throw new Error(`the code fence of line ${open.line} is never closed`);
  return blocks;
}
