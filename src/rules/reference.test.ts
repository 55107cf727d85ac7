import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadBuildFunctions } from '../graph/index.ts';
import { coreFunctions, dictMethods, parseSource, stringMethods } from '../language/index.ts';
import { ruleFiles } from './index.ts';
import { languageReference } from './reference.ts';

describe('the language reference', () => {
  it('is docs/language.md as it stands', () => {
    const kept = readFileSync(new URL('../../docs/language.md', import.meta.url), 'utf8');
    expect(kept === languageReference(), 'run script/language-reference').toBe(true);
  });

  it('says something of every function', async () => {
    const buildFunctions = await loadBuildFunctions();
    const silent = [...coreFunctions, ...buildFunctions, ...stringMethods.values(), ...dictMethods.values()]
      .filter(({ documentation }) => documentation === '')
      .map(({ name }) => name);
    expect(silent).toEqual([]);
  });

  it('says something of every rule and each of its arguments', () => {
    const silent: string[] = [];
    for (const { path, source } of ruleFiles()) {
      for (const statement of parseSource({ file: path, text: source, internal: true }).statements) {
        if (statement.type !== 'def' || statement.name.startsWith('_')) continue;
        for (const { name } of statement.parameters) {
          if (name.startsWith('_')) continue;
          const documented = new RegExp(`^ *${name} \\([a-z|]+\\): \\S`, 'm').test(statement.documentation ?? '');
          if (!documented) silent.push(`${statement.name}.${name}`);
        }
      }
    }
    expect(silent).toEqual([]);
  });
});
