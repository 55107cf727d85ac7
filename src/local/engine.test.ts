import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hashSource, isAtLeast } from './engine.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'banksman-engine-'));
  await writeFile(join(folder, 'go.mod'), 'module x\ngo 1.26.0\n');
  await writeFile(join(folder, 'build'), '#!/bin/sh\n');
  await mkdir(join(folder, 'portal'));
  await writeFile(join(folder, 'portal/main.go'), 'package main\n');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('the hash is of what is compiled: where it lies, documents and tests change nothing', async () => {
  const before = await hashSource(folder);
  await writeFile(join(folder, 'README.md'), 'words');
  await writeFile(join(folder, 'portal/main_test.go'), 'package main\n');
  expect(await hashSource(folder)).toBe(before);
  const copy = `${folder}-copy`;
  await cp(folder, copy, { recursive: true });
  expect(await hashSource(copy)).toBe(before);
  await rm(copy, { recursive: true });
});

test('an edit, a new file and a moved one change it', async () => {
  const seen = new Set([await hashSource(folder)]);
  await writeFile(join(folder, 'portal/main.go'), 'package main // other\n');
  seen.add(await hashSource(folder));
  await writeFile(join(folder, 'portal/more.go'), '');
  seen.add(await hashSource(folder));
  await rm(join(folder, 'portal/more.go'));
  await writeFile(join(folder, 'more.go'), '');
  seen.add(await hashSource(folder));
  expect(seen.size).toBe(4);
});

test('a folder without the source is told', async () => {
  await rm(join(folder, 'build'));
  await expect(hashSource(folder)).rejects.toMatchObject({ code: 'local/engine-source' });
  await expect(hashSource('/nonexistent')).rejects.toMatchObject({ code: 'local/engine-source' });
});

test.each([
  ['go1.26.8', '1.26.0', true],
  ['go1.26.0', '1.26.0', true],
  ['go1.27rc1', '1.26.0', true],
  ['go1.25.9', '1.26.0', false],
  ['go1.9', '1.26', false],
])('%s for %s: %s', (have, needed, enough) => {
  expect(isAtLeast(have, needed)).toBe(enough);
});
