import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A file of the built-in rules. */
export interface RuleFile {
  /** For people, in errors: `src/rules/go.build_defs`. */
  readonly path: string;
  readonly source: string;
}

let files: readonly RuleFile[] | undefined;

/** The built-in rules, in the order of their names. Read once. */
export function ruleFiles(): readonly RuleFile[] {
  const folder = fileURLToPath(new URL('.', import.meta.url));
  files ??= readdirSync(folder)
    .filter((name) => name.endsWith('.build_defs'))
    .sort()
    .map((name) => ({ path: `src/rules/${name}`, source: readFileSync(`${folder}${name}`, 'utf8') }));
  return files;
}
