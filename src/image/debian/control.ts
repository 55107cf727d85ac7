/** Paragraphs of `Field: value` lines, as dpkg and apt write them. deb822(5). */
export type Paragraph = ReadonlyMap<string, string>;

/** Field names are lower-cased; lines of a folded value are joined by newlines, each without its first space. */
export function parseParagraphs(text: string): Paragraph[] {
  const paragraphs: Map<string, string>[] = [];
  let current: Map<string, string> | undefined;
  let field: string | undefined;
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    if (line.trim() === '') {
      current = undefined;
      field = undefined;
    } else if (/^[ \t]/.test(line)) {
      if (current && field) current.set(field, `${current.get(field)}\n${line.slice(1)}`);
    } else {
      const colon = line.indexOf(':');
      if (colon < 1) continue;
      if (current === undefined) {
        current = new Map();
        paragraphs.push(current);
      }
      field = line.slice(0, colon).toLowerCase();
      current.set(field, line.slice(colon + 1).trim());
    }
  }
  return paragraphs;
}

/** One name of a dependency: Debian Policy 7.1. The version restriction is left to apt, which has resolved it. */
export type Alternatives = readonly string[];

/** `a (>= 1) | b:any, c` -> [[a, b], [c]]. */
export function parseDependencies(field: string): Alternatives[] {
  return field
    .split(',')
    .map((group) =>
      group
        .split('|')
        .map(nameOf)
        .filter((name) => name !== ''),
    )
    .filter((group) => group.length > 0);
}

function nameOf(text: string): string {
  return text.replace(/[([<:][\s\S]*$/, '').trim();
}
