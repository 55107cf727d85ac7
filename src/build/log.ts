/** Lines of a log that an error shows. */
const shownLines = 30;

/** The end of what a program printed. */
export function lastLines(text: string, count = shownLines): string {
  const lines = text.trimEnd().split('\n');
  const shown = lines.slice(-count).join('\n');
  return lines.length > count ? `... ${lines.length - count} lines before this ...\n${shown}` : shown;
}
