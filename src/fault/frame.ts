import type { Place } from './fault.ts';

/**
 * The lines around a place, with the place marked:
 *
 *       2 | go_binary(
 *     > 3 |     nmae = "gateway",
 *         |     ^^^^
 *       4 | )
 *
 * @param context lines shown before and after
 * @returns the empty string where the place has no source or line
 */
export function codeFrame(place: Place, context = 2): string {
  if (place.source === undefined || place.line === undefined) return '';
  const lines = place.source.split('\n');
  const at = Math.min(Math.max(place.line, 1), lines.length);
  const first = Math.max(1, at - context);
  const last = Math.min(lines.length, at + context);
  const width = String(last).length;
  const shown: string[] = [];
  for (let number = first; number <= last; number++) {
    const text = clip(lines[number - 1] ?? '');
    const marker = number === at ? '>' : ' ';
    shown.push(`${marker} ${String(number).padStart(width)} | ${text}`.trimEnd());
    if (number === at && place.column !== undefined && place.column <= maximumWidth) {
      // Tabs stay tabs, so that the mark stands below what it marks.
      const indent = text.slice(0, place.column - 1).replace(/[^\t]/g, ' ');
      const room = Math.max(1, text.length - place.column + 1);
      const marks = '^'.repeat(Math.max(1, Math.min(place.length ?? 1, room)));
      shown.push(`  ${' '.repeat(width)} | ${indent}${marks}`);
    }
  }
  return shown.join('\n');
}

/** Characters of a line that a frame shows: generated files have lines of megabytes. */
const maximumWidth = 160;

function clip(line: string): string {
  const clean = line.replace(/\r$/, '').replace(/[\x00-\x08\x0b-\x1f\x7f]/g, '·');
  return clean.length > maximumWidth ? `${clean.slice(0, maximumWidth)}…` : clean;
}
