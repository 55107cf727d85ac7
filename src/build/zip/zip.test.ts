import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readZip, unpack } from './read.ts';
import { stored, writeZip, type ZipEntry } from './write.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'banksman-zip-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const python = (code: string, ...args: string[]) =>
  execFileSync('python3', ['-c', code, ...args], { encoding: 'utf8' });

describe('ZIP archives', () => {
  it('are read by others as they were written', async () => {
    const path = join(folder, 'a.zip');
    await writeZip(
      path,
      [stored('a/é.txt', Buffer.from('hello')), stored('run', Buffer.from('x'), true), stored('d/', Buffer.alloc(0))],
      {
        prefix: '#!/bin/sh\n',
        mode: 0o755,
      },
    );
    const code = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as z:
    assert z.testzip() is None
    for i in z.infolist(): print(i.filename, oct(i.external_attr >> 16), i.date_time, z.read(i))
`;
    expect(python(code, path).trim().split('\n')).toEqual([
      "a/é.txt 0o100644 (1980, 1, 1, 0, 0, 0) b'hello'",
      "run 0o100755 (1980, 1, 1, 0, 0, 0) b'x'",
      "d/ 0o40755 (1980, 1, 1, 0, 0, 0) b''",
    ]);
    expect((await readFile(path, 'utf8')).startsWith('#!/bin/sh\n')).toBe(true);
    expect((await readZip(path, 'a.zip')).map(({ name, executable }) => [name, executable])).toEqual([
      ['a/é.txt', false],
      ['run', true],
      ['d/', true],
    ]);
  });

  it('of others are read, with entries kept compressed', async () => {
    const path = join(folder, 'b.zip');
    python(
      `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z:
    z.writestr('long.txt', 'x' * 10000)
    z.comment = b'a comment'
`,
      path,
    );
    const [entry] = await readZip(path, 'b.zip');
    expect([entry?.method, entry?.size]).toEqual([8, 10_000]);
    expect(unpack(entry!, 'b.zip').toString()).toBe('x'.repeat(10_000));
    await writeZip(join(folder, 'c.zip'), [entry!]);
    expect(
      python('import sys, zipfile; print(len(zipfile.ZipFile(sys.argv[1]).read("long.txt")))', join(folder, 'c.zip')),
    ).toBe('10000\n');
  });

  it('with more than 65,535 entries come back whole', async () => {
    const path = join(folder, 'many.zip');
    await writeZip(
      path,
      Array.from({ length: 70_000 }, (_, index) => stored(`f${index}`, Buffer.alloc(0))),
    );
    expect((await readZip(path, 'many.zip')).length).toBe(70_000);
    expect(python('import sys, zipfile; print(len(zipfile.ZipFile(sys.argv[1]).namelist()))', path)).toBe('70000\n');
  });

  it('that are damaged or hostile are refused', async () => {
    const path = join(folder, 'bad.zip');
    const good = [stored('a.txt', Buffer.from('content'))];
    await writeZip(path, good);
    const bytes = await readFile(path);
    const refuse = async (content: Uint8Array) => {
      await writeFile(path, content);
      await expect(readZip(path, 'bad.zip')).rejects.toMatchObject({ code: 'build/bad-archive' });
    };
    await refuse(Buffer.alloc(0));
    for (let length = 1; length < bytes.length; length += 3) await refuse(bytes.subarray(0, length));
    for (const name of ['../escape', '/absolute', 'a/../../b', 'a\\b', '']) {
      await writeZip(path, [stored(name, Buffer.alloc(0))]);
      await expect(readZip(path, 'bad.zip')).rejects.toMatchObject({ code: 'build/bad-archive' });
    }
  });

  it('are not unpacked beyond what they say, nor with a wrong sum', () => {
    const data = Buffer.alloc(1_000_000, 'x');
    const bomb: ZipEntry = { ...stored('x', data), method: 8, data: deflateRawSync(data), size: 10 };
    expect(() => unpack(bomb, 'x')).toThrow('can not be unpacked');
    expect(() => unpack({ ...bomb, size: 5_000_000 }, 'x')).toThrow('larger');
    expect(() => unpack({ ...stored('x', Buffer.from('x')), crc: crc32(Buffer.from('y')) }, 'x')).toThrow('wrong sum');
  });
});
