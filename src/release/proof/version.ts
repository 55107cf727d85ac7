import { readFileSync } from 'node:fs';

/** Banksman's own version, from package.json: the builder's, in what it states. */
export function banksmanVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
