import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '../../rules');

/** The built-in rules as files: their folder stands above this one. */
export function ruleFilesForTests(): { readonly path: string; readonly source: string }[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.build_defs'))
    .map((name) => ({ path: `src/rules/${name}`, source: readFileSync(join(folder, name), 'utf8') }));
}
