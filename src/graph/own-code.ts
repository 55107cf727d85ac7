import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

let known: string | undefined;

/** This program's own part in what a graph looks like, as a text: a change of the evaluator makes anew whatever was kept. */
export function ownCode(): string {
  known ??= readOwnCode();
  return known;
}

function readOwnCode(): string {
  const parts: string[] = [];
  for (const inside of ['.', '../language', '../form']) {
    const folder = join(import.meta.dirname, inside);
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
      if (!name.endsWith('.ts')) continue;
      const { size, mtimeMs } = statSync(join(folder, name));
      parts.push(`${inside}/${name} ${size} ${mtimeMs}`);
    }
  }
  return parts.join('\n');
}
