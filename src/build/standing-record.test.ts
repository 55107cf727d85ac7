import { lstatSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readStanding, type StandingFiles, stateOfFile } from './standing-record.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'banksman-test-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A record of targets with two outputs each. @param padding characters of what each line says of its artifacts */
function write(targets: number, padding: number): StandingFiles {
  const files = { file: join(folder, 'record'), folders: { b: `${folder}/bin/`, g: `${folder}/gen/` } };
  for (const each of Object.values(files.folders)) mkdirSync(each);
  const lines = ['["format"]'];
  for (let number = 0; number < targets; number++) {
    const kind = number % 2 === 0 ? 'b' : 'g';
    const places = ['one', 'two'].flatMap((name) => {
      const path = `${number} ${name}`;
      writeFileSync(files.folders[kind] + path, name);
      return [stateOfFile(lstatSync(files.folders[kind] + path)), path];
    });
    lines.push([`//a:${number}`, 'hash', kind, ...places, JSON.stringify(['x'.repeat(padding)])].join('\t'));
  }
  writeFileSync(files.file, `${lines.join('\n')}\n`);
  return files;
}

describe.each([
  ['at once', 10],
  ['in a thread of its own', 60_000],
])('a record that is read %s', (_, padding) => {
  it('has its lines by label, and tells whose files are not as they were', async () => {
    const files = write(20, padding);
    writeFileSync(`${files.folders.b}4 two`, 'edited');
    rmSync(`${files.folders.g}7 one`);
    writeFileSync(`${files.folders.g}9 two`, 'two');
    const found = await readStanding(files);
    expect(found?.header).toBe('["format"]');
    expect([...found!.lines.keys()]).toEqual(Array.from({ length: 20 }, (_, number) => `//a:${number}`));
    expect(found!.lines.get('//a:3')).toMatch(/^\/\/a:3\thash\tg\t\d+\t/);
    // Written again with the same bytes, the ninth is another file for all that can be told.
    expect([...found!.touched].filter((label) => label !== '//a:9')).toEqual(['//a:4', '//a:7']);
  });

  it('is none where it is cut off or gone', async () => {
    const files = write(20, padding);
    writeFileSync(files.file, 'x'.repeat(20 * padding));
    expect(await readStanding(files)).toBeUndefined();
    rmSync(files.file);
    expect(await readStanding(files)).toBeUndefined();
  });
});
