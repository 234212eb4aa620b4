/**
 * The first difference between what was expected and what a program wrote, or `undefined` where there is none.
 *
 * `{{...}}` in an expected line stands for any text within that line: a port, a duration, a random id. Blank lines at the end do not count.
 */
export function firstDifference(expected: string, actual: string): string | undefined {
  const expectedLines = lines(expected);
  const actualLines = lines(actual);
  for (let index = 0; index < Math.max(expectedLines.length, actualLines.length); index += 1) {
    const wanted = expectedLines[index];
    const given = actualLines[index];
    if (wanted !== undefined && given !== undefined && pattern(wanted).test(given)) continue;
    return `line ${index + 1}\n  expected: ${wanted ?? "(end)"}\n  written:  ${given ?? "(end)"}`;
  }
  return undefined;
}

function lines(text: string): readonly string[] {
  return text.trimEnd().split(/\r?\n/);
}

function pattern(line: string): RegExp {
  const literals = line.split("{{...}}").map((text) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`));
  return new RegExp(`^${literals.join(".*")}$`);
}
