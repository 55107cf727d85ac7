import { readdirSync, readFileSync } from 'node:fs';

/** The built-in rules as files: their folder stands above this one. */
export function ruleFilesForTests(): { readonly path: string; readonly source: string }[] {
  const folder = new URL('../../rules', import.meta.url);
  return readdirSync(folder)
    .filter((name) => name.endsWith('.build_defs'))
    .map((name) => ({ path: `src/rules/${name}`, source: readFileSync(new URL(name, folder), 'utf8') }));
}
