import { execFileSync } from 'node:child_process';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tarOf } from '../testing/deb.ts';
import { testFolder } from '../testing/folder.ts';
import { type ByteSource, skippingSource } from './bytes.ts';
import type { TarHeader } from './entry.ts';
import { checksum, encodeHeader } from './header.ts';
import { readTar, type TarLimits } from './read.ts';
import { arrange, directoryEntry, fileEntry, type LayerEntry, symlinkEntry } from './write.ts';

async function read(archive: Buffer, limits?: TarLimits): Promise<(TarHeader & { text: string })[]> {
  const found: (TarHeader & { text: string })[] = [];
  for await (const { offset: _, content, ...header } of readTar(inPieces(archive), 'the archive', limits)) {
    const parts: Uint8Array[] = [];
    for await (const piece of content()) parts.push(Buffer.from(piece));
    found.push({ ...header, text: Buffer.concat(parts).toString() });
  }
  return found;
}

/** Crooked sizes: no piece ends where a block does. */
async function* inPieces(archive: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < archive.length; at += 777) yield archive.subarray(at, at + 777);
}

function hardlink(path: string, target: string): LayerEntry {
  return { path, type: 'hardlink', mode: 0o644, uid: 0, gid: 0, size: 0, target };
}

/** An entry as hostile hands would write it: nothing of it is checked. */
function raw(header: Partial<TarHeader> & { path: string }, flag?: string, name?: string): Buffer {
  const block = encodeHeader({ type: 'file', mode: 0o644, uid: 0, gid: 0, size: 0, target: '', ...header });
  if (flag !== undefined) block.write(flag, 156, 1, 'latin1');
  if (name !== undefined) block.fill(0, 0, 100).write(name, 0, 'latin1');
  block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
  return block;
}

const end = Buffer.alloc(1024);

describe('writing', () => {
  test('entries are sorted by bytes, parents come once and first, hard links behind their file', async () => {
    const file = fileEntry('usr/bin/python3.11', 'program', { mode: 0o755 });
    const entries = arrange([
      symlinkEntry('usr/lib/x', '../y'),
      file,
      hardlink('usr/bin/python', 'usr/bin/python3.11'),
      hardlink('zz', 'usr/bin/python3.11'),
      directoryEntry('tmp', { mode: 0o1777 }),
    ]);
    expect(entries.map(({ path, type, target }) => `${path} ${type} ${target}`.trim())).toEqual([
      'tmp directory',
      'usr directory',
      'usr/bin directory',
      'usr/bin/python file',
      'usr/bin/python3.11 hardlink usr/bin/python',
      'usr/lib directory',
      'usr/lib/x symlink ../y',
      'zz hardlink usr/bin/python',
    ]);
    expect((await read(await tarOf(entries))).find(({ path }) => path === 'usr/bin/python')?.text).toBe('program');
  });

  test('a path claimed twice, or something below a file, is an error', () => {
    expect(() => arrange([fileEntry('a', '1'), fileEntry('a', '2')])).toThrow('two files claim the path /a');
    expect(() => arrange([fileEntry('a', '1'), fileEntry('a/b', '2')])).toThrow("/a/b can't lie below /a");
    expect(() => arrange([symlinkEntry('a', 'b'), directoryEntry('a')])).toThrow('two files claim the path /a');
  });

  test('GNU tar unpacks what is written: long names, other alphabets, large ids, links, modes', async () => {
    const folder = await testFolder();
    const long = `${'deep/'.repeat(40)}${'n'.repeat(200)}`;
    const entries = arrange([
      fileEntry(long, 'far down'),
      fileEntry('Grüße/日本', 'utf-8', { mode: 0o640 }),
      fileEntry('big-id', '', { uid: 4_000_000_000, gid: 3_000_000 }),
      symlinkEntry('link', `${'t'.repeat(150)}/x`),
      fileEntry('original', 'same'),
      hardlink('twin', 'original'),
    ]);
    await writeFile(join(folder, 'a.tar'), await tarOf(entries));
    await mkdir(join(folder, 'out'));
    execFileSync('tar', ['-xpf', join(folder, 'a.tar'), '-C', join(folder, 'out'), '--no-same-owner']);
    expect(await readFile(join(folder, 'out', long), 'utf8')).toBe('far down');
    expect((await stat(join(folder, 'out', 'Grüße/日本'))).mode & 0o777).toBe(0o640);
    expect((await stat(join(folder, 'out', 'twin'))).ino).toBe((await stat(join(folder, 'out', 'original'))).ino);
    expect((await stat(join(folder, 'out', 'twin'))).mtimeMs).toBe(0);
    const listed = execFileSync('tar', ['--numeric-owner', '-tvf', join(folder, 'a.tar')], { encoding: 'utf8' });
    expect(listed).toContain('4000000000/3000000');
    expect(listed).toContain(`link -> ${'t'.repeat(150)}/x`);
  });

  test('what is written is read back as it was', async () => {
    const name = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 120 })
      .filter((text) => !/[/\0]/.test(text) && text !== '.' && text !== '..' && Buffer.byteLength(text) < 255);
    const files = fc.uniqueArray(
      fc.record({
        path: fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/')),
        text: fc.string({ maxLength: 2000 }),
        mode: fc.integer({ min: 0, max: 0o7777 }),
        uid: fc.integer({ min: 0, max: 2 ** 32 - 2 }),
      }),
      { selector: ({ path }) => path.split('/')[0], maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(files, async (list) => {
        const archive = await tarOf(
          arrange(list.map(({ path, text, mode, uid }) => fileEntry(path, text, { mode, uid }))),
        );
        const found = (await read(archive)).filter(({ type }) => type === 'file');
        const plain = (entry: { path: string; text: string; mode: number; uid: number }) => [
          entry.path,
          entry.text,
          entry.mode,
          entry.uid,
        ];
        expect(found.map(plain)).toEqual(
          list.toSorted((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path))).map(plain),
        );
      }),
      { numRuns: 100 },
    );
  });
});

describe('reading', () => {
  test("GNU tar's own archives are read: long names, hard links, ./ before the paths", async () => {
    const folder = await testFolder();
    // More than 100 bytes: GNU and pax say so in a header of its own, ustar divides it between two fields.
    const long = `${'d'.repeat(90)}/${'n'.repeat(95)}`;
    await mkdir(join(folder, 'in', 'd'.repeat(90)), { recursive: true });
    await writeFile(join(folder, 'in', long), 'text');
    execFileSync('ln', [join(folder, 'in', long), join(folder, 'in', 'zlink')]);
    execFileSync('ln', ['-s', '/etc/alternatives/x', join(folder, 'in', 'abs')]);
    const pack = (...options: string[]) =>
      execFileSync('tar', ['--sort=name', ...options, '-C', join(folder, 'in'), '-cf', '-', '.'], { maxBuffer: 1e8 });
    const expected = [
      ['', 'directory', ''],
      ['abs', 'symlink', '/etc/alternatives/x'],
      ['d'.repeat(90), 'directory', ''],
      [long, 'file', ''],
      ['zlink', 'hardlink', long],
    ];
    const listed = async (archive: Buffer) =>
      (await read(archive)).map(({ path, type, target }) => [path, type, target]);
    expect(await listed(pack('--format=gnu'))).toEqual(expected);
    expect(await listed(pack('--format=pax'))).toEqual(expected);
    // ustar has no room for a link to so long a name.
    expect(await listed(pack('--format=ustar', '--exclude=zlink'))).toEqual(expected.slice(0, 4));
  });

  const file = (path: string) => raw({ path });
  const hostile: Record<string, [Buffer[], string]> = {
    'a path with ..': [[file('a/../../etc/passwd'), end], 'leads out of the archive'],
    'an absolute path': [[file('/etc/passwd'), end], 'absolute path'],
    'a symbolic link that climbs out': [
      [raw({ path: 'a/b', type: 'symlink', target: '../../x' }), end],
      'leads out of the archive',
    ],
    'a symbolic link to nowhere': [[raw({ path: 'a', type: 'symlink', target: '' }), end], 'to nowhere'],
    'a file below a symbolic link': [
      [raw({ path: 'a', type: 'symlink', target: '/etc' }), file('a/passwd'), end],
      'which is a symlink',
    ],
    'a file below a file': [[file('a'), file('a/b'), end], 'which is a file'],
    'a hard link to a path outside': [
      [raw({ path: 'a', type: 'hardlink', target: '../x' }), end],
      'leads out of the archive',
    ],
    'a hard link to what is not there': [[raw({ path: 'a', type: 'hardlink', target: 'b' }), end], 'no earlier file'],
    'a hard link to a symbolic link': [
      [
        raw({ path: 'a', type: 'symlink', target: '/etc/shadow' }),
        raw({ path: 'b', type: 'hardlink', target: 'a' }),
        end,
      ],
      'no earlier file',
    ],
    'a path twice': [[file('a'), raw({ path: 'a', type: 'symlink', target: '/etc' }), end], 'twice'],
    'a path twice, spelled otherwise': [[file('a/b'), file('a//./b'), end], 'twice'],
    'a device': [[raw({ path: 'dev/sda' }, '4'), end], 'block device'],
    'a pipe': [[raw({ path: 'p' }, '6'), end], 'named pipe'],
    'a sparse file': [[raw({ path: 's' }, 'S'), end], 'sparse file'],
    'an unknown type': [[raw({ path: 's' }, 'Q'), end], 'unknown type'],
    'content of a folder': [[raw({ path: 'd', type: 'directory', size: 5 }), Buffer.alloc(512), end], 'content for'],
    'no name': [[raw({ path: 'x' }, '0', ''), end], 'unusable name'],
    'a name that is not UTF-8': [[raw({ path: 'x' }, '0', '\xff\xfe'), end], 'not UTF-8'],
    'a name of 300 bytes': [[file('n'.repeat(300)), end], 'more than 255 bytes'],
    'a damaged header': [
      [Buffer.from(file('a').toString('latin1').replace('a', 'b'), 'latin1'), end],
      'damaged header',
    ],
    'no end': [[file('a')], 'without an end-of-archive mark'],
    'half an end': [[file('a'), Buffer.alloc(512)], 'without an end-of-archive mark'],
    'something after the end': [[file('a'), end, file('b')], 'bytes after its end'],
    'a cut-off content': [[raw({ path: 'a', size: 5000 }), Buffer.alloc(512)], 'cut off'],
    'a huge extended header': [
      [raw({ path: 'PaxHeader', size: 10_000_000 }, 'x'), end],
      'extended header of 10000000 bytes',
    ],
    'a pax header without sense': [
      [raw({ path: 'PaxHeader', size: 9 }, 'x'), Buffer.concat([Buffer.from('99 path=a')], 512), end],
      'damaged pax header',
    ],
    'a pax path that climbs out': [
      [
        raw({ path: 'PaxHeader', size: 18 }, 'x'),
        Buffer.concat([Buffer.from('18 path=../../etc\n')], 512),
        file('a'),
        end,
      ],
      'leads out of the archive',
    ],
    'a negative size': [[negativeSize(), end], 'negative'],
    'a negative pax size': [[...pax('size=-1'), file('a'), end], 'pax size "-1"'],
    'a pax size beyond all numbers': [[...pax(`size=${'9'.repeat(40)}`), file('a'), end], 'pax size'],
    'a pax path with a zero byte': [[...pax('path=a\0b'), file('a'), end], 'unusable name'],
    'a pax link with a zero byte': [
      [...pax('linkpath=x\0y'), raw({ path: 'a', type: 'symlink', target: 'b' }), end],
      'to nowhere',
    ],
    'a sparse file of GNU tar in pax': [[...pax('GNU.sparse.major=1'), file('a'), end], 'sparse file'],
    'a path for all entries': [[...pax('path=etc/passwd', 'g'), file('a'), end], 'global header'],
    'a size for all entries': [[...pax('size=0', 'g'), file('a'), end], 'global header'],
    'a long name that is not UTF-8': [
      [
        raw({ path: '././@LongLink', size: 2 }, 'L'),
        Buffer.concat([Buffer.from('\xff\xfe', 'latin1')], 512),
        file('a'),
        end,
      ],
      'not UTF-8',
    ],
    'a device with a number beyond the field': [[raw({ path: 'dev/kmem' }, '3'), end], 'character device'],
    'content of a hard link': [
      [file('a'), raw({ path: 'b', type: 'hardlink', target: 'a', size: 512 }), Buffer.alloc(512), end],
      'content for',
    ],
    'a file in place of the root': [[file('./'), end].map((block) => dataOf(block)), 'root folder'],
  };

  /** A folder's name, and the type of a link. */
  function dataOf(block: Buffer): Buffer {
    return block === end ? end : raw({ path: '.', type: 'symlink', target: 'x' });
  }

  function pax(text: string, flag = 'x'): Buffer[] {
    const rest = ` ${text}\n`;
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
    const body = Buffer.from(`${length}${rest}`, 'latin1');
    return [
      raw({ path: 'PaxHeader', size: body.length }, flag),
      Buffer.concat([body], Math.ceil(body.length / 512) * 512),
    ];
  }

  function negativeSize(): Buffer {
    const block = raw({ path: 'a' });
    block.fill(0xff, 124, 136);
    block.write(`${checksum(block).toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
    return block;
  }

  test.each(Object.entries(hostile))('%s is refused', async (_, [blocks, message]) => {
    await expect(read(Buffer.concat(blocks))).rejects.toMatchObject({
      code: 'image/bad-archive',
      message: expect.stringContaining(message),
    });
  });

  test('bombs end at the limit', async () => {
    const many = Buffer.concat([...Array.from({ length: 20 }, (_, index) => file(`f${index}`)), end]);
    await expect(read(many, { entries: 19, totalSize: 1 })).rejects.toMatchObject({ code: 'image/too-large' });
    expect(await read(many, { entries: 20, totalSize: 1 })).toHaveLength(20);
    await expect(
      read(Buffer.concat([raw({ path: 'big', size: 2 ** 32 }), end]), { entries: 1, totalSize: 2 ** 31 }),
    ).rejects.toMatchObject({ code: 'image/too-large' });
  });

  test('headers of headers, and zeros behind the end, have an end', async () => {
    const [header, body] = pax('comment=x') as [Buffer, Buffer];
    const ten = Array.from({ length: 10 }, () => [header, body]).flat();
    await expect(read(Buffer.concat([...ten, file('a'), end]), { entries: 3, totalSize: 1 })).rejects.toMatchObject({
      code: 'image/too-large',
      message: expect.stringContaining('extended headers'),
    });
    expect(await read(Buffer.concat([...ten, file('a'), end]), { entries: 4, totalSize: 1 })).toHaveLength(1);
    expect(await read(Buffer.concat([file('a'), end, Buffer.alloc(20 * 512)]))).toHaveLength(1);
    await expect(read(Buffer.concat([file('a'), end, Buffer.alloc(17 * 1024 ** 2)]))).rejects.toMatchObject({
      code: 'image/too-large',
      message: expect.stringContaining('after its end'),
    });
  });

  test('no bytes whatever make it crash or hang', async () => {
    const archive = await tarOf(
      arrange([fileEntry('a/b', 'text'), symlinkEntry('c', 'a'), fileEntry('n'.repeat(150), 'x')]),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(archive.length - 1), fc.nat(255)), { maxLength: 6 }),
        async (changes) => {
          const damaged = Buffer.from(archive);
          for (const [at, value] of changes) damaged[at] = value;
          await read(damaged).catch((error) => expect(error.code).toMatch(/^image\//));
        },
      ),
      { numRuns: 300 },
    );
  });
});

test('an archive of which only headers are read has the same entries, and an end too early is noticed', async () => {
  const folder = await testFolder();
  const path = join(folder, 'archive.tar');
  const archive = await tarOf(
    arrange([
      fileEntry('small', 'x'),
      fileEntry('large', Buffer.alloc(300_000, 7)),
      fileEntry(`${'long/'.repeat(30)}name`, 'y'.repeat(40_000)),
      symlinkEntry('link', 'small'),
    ]),
  );
  await writeFile(path, archive);
  const headers = async (source: ByteSource) => {
    const found: object[] = [];
    for await (const { content: _, ...entry } of readTar(source, 'it')) found.push(entry);
    return found;
  };
  expect(await headers(skippingSource(path))).toEqual(await headers(inPieces(archive)));
  for (const length of [100, 2000, 250_000, archive.length - 1024]) {
    await writeFile(path, archive.subarray(0, length));
    await expect(headers(skippingSource(path))).rejects.toMatchObject({ code: 'image/bad-archive' });
  }
});
