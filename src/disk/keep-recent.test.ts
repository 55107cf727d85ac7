import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keepRecent } from './keep-recent.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banksman-keep-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** @param used seconds since the epoch */
function make(path: string, used: number, size = 10): void {
  const full = join(folder, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, 'x'.repeat(size));
  utimesSync(full, used, used);
}

const left = () =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort();

describe('keepRecent', () => {
  it('keeps so many files, those used last', () => {
    for (const [at, name] of ['c', 'a', 'd', 'b'].entries()) make(name, 1000 + at);
    keepRecent(folder, { files: 2 });
    expect(left()).toEqual(['b', 'd']);
  });

  it('keeps so many bytes, of all folders together, and no empty folder', () => {
    make('one/old', 1000);
    make('two/newer', 2000);
    make('two/newest', 3000);
    make('three/older', 1500);
    keepRecent(folder, { bytes: 20 });
    expect(left()).toEqual(['newer', 'newest']);
    expect(existsSync(join(folder, 'one'))).toBe(false);
  });

  it('keeps the newest, however large', () => {
    make('a', 1000, 10);
    make('b', 2000, 1000);
    keepRecent(folder, { bytes: 20 });
    expect(left()).toEqual(['b']);
  });

  it('leaves alone what is within bounds', () => {
    make('a/b', 1000);
    keepRecent(folder, { files: 1, bytes: 10 });
    expect(left()).toEqual(['b']);
  });
});
