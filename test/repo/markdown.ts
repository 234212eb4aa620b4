/** A link of a Markdown page that leads to another file of the project, or to a heading. */
export interface Link {
  /** Number of its line in the page, counted from 1. */
  readonly line: number;
  /** The file, relative to the page; empty for the page itself. */
  readonly path: string;
  /** The heading, as the anchor names it; empty for none. */
  readonly anchor: string;
}

/** The relative links and images of a page, inline and by reference; those inside code do not count. */
export function relativeLinks(markdown: string): readonly Link[] {
  const inline = /\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g;
  const reference = /^\s*\[[^\]]+\]:\s*<?([^\s>]+)/g;
  return linesOutsideCode(markdown).flatMap(({ text, line }) =>
    [...text.matchAll(inline), ...text.matchAll(reference)]
      .map(([, target = ""]) => target)
      .filter((target) => !/^([a-z][a-z0-9+.-]*:|\/\/)/i.test(target))
      .map((target) => {
        const [path = "", anchor = ""] = target.split("#");
        return { line, path: decodeURIComponent(path), anchor };
      }),
  );
}

/** The anchors of a page's headings, as GitHub makes them. */
export function headingAnchors(markdown: string): readonly string[] {
  const seen = new Map<string, number>();
  return headings(markdown).map((heading) => {
    const anchor = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, "")
      .replaceAll(" ", "-");
    const before = seen.get(anchor) ?? 0;
    seen.set(anchor, before + 1);
    return before === 0 ? anchor : `${anchor}-${before}`;
  });
}

/** The texts of a page's headings; only those of one level where that is given. */
export function headings(markdown: string, level?: number): readonly string[] {
  return linesOutsideCode(markdown).flatMap(({ whole }) => {
    const [, marks = "", text = ""] = /^(#{1,6})\s+(.+?)\s*#*\s*$/.exec(whole) ?? [];
    return marks !== "" && (level === undefined || marks.length === level) ? [text] : [];
  });
}

/** A page's lines without its fenced code; `text` is also without its code spans. */
function linesOutsideCode(markdown: string): readonly { readonly line: number; readonly whole: string; readonly text: string }[] {
  let fence = "";
  return markdown.split(/\r?\n/).flatMap((whole, index) => {
    const [, marks = ""] = /^\s*(`{3,}|~{3,})/.exec(whole) ?? [];
    const inside = fence !== "";
    if (!inside) fence = marks;
    else if (marks.startsWith(fence)) fence = "";
    return inside || marks !== "" ? [] : [{ line: index + 1, whole, text: whole.replaceAll(/(`+)[^`].*?\1/g, "") }];
  });
}
