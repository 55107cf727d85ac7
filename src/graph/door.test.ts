import { readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const source = join(import.meta.dirname, '..');

/** All files that come to be loaded with one, by what their imports and exports say. */
function loadedWith(first: string): string[] {
  const found = new Set([first]);
  for (const file of found) {
    const text = readFileSync(file, 'utf8');
    for (const [, clause, from] of text.matchAll(/^(?:import|export) ([^;]*?from )?'(\.[^']+)';/gms)) {
      // Types alone load nothing.
      const names = /^\{(.*)\} from $/s
        .exec(clause ?? '')?.[1]
        ?.split(',')
        .filter((name) => name.trim() !== '');
      if (clause?.startsWith('type ') || names?.every((name) => name.trim().startsWith('type '))) continue;
      found.add(resolve(file, '..', from!));
    }
  }
  return [...found].map((file) => relative(source, file));
}

describe('the door', () => {
  it('loads nothing that evaluates: a query whose answer is kept starts without it', () => {
    const files = loadedWith(join(import.meta.dirname, 'index.ts'));
    expect(files).toContain('graph/kept/kept-graph.ts');
    const heavy =
      /^language\/|^process\/|^form\/|^graph\/(?:load|affected)\/|^graph\/evaluate\/(?:packages|functions|build-rule)\.ts$|^graph\/kept\/(?:advance|cached-load)\.ts$/;
    expect(files.filter((file) => heavy.test(file))).toEqual([]);
  });

  it('loads nothing that evaluates for an answer about a change either', () => {
    for (const file of ['affected/affected.ts', 'affected/explain.ts']) {
      const files = loadedWith(join(import.meta.dirname, file));
      const heavy =
        /^language\/|^form\/|^graph\/load\/load\.ts$|^graph\/evaluate\/(?:packages|functions)\.ts$|^graph\/kept\/advance\.ts$|^graph\/affected\/origin\.ts$/;
      expect(files.filter((each) => heavy.test(each))).toEqual([]);
    }
  });
});
