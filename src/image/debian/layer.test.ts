import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { directoryEntry, fileEntry, type LayerEntry, symlinkEntry } from '../tar/write.ts';
import { arOf, debOf, tarOf, writeDeb } from '../testing/deb.ts';
import { testFolder } from '../testing/folder.ts';
import { debianLayer } from './layer.ts';

async function layerOf(deb: Buffer): Promise<{ paths: string[]; folder: string; digest: string }> {
  const folder = await testFolder();
  await writeFile(join(folder, 'a.deb'), deb);
  const { digest } = await debianLayer(join(folder, 'a.deb'), join(folder, 'layer.tar'));
  const listed = execFileSync('tar', ['-tvf', join(folder, 'layer.tar'), '--numeric-owner'], { encoding: 'utf8' });
  const paths = listed
    .trim()
    .split('\n')
    .map((line) => `${line.slice(0, 10)} ${line.slice(line.indexOf(':') + 4)}`);
  return { paths, folder, digest };
}

const hardlink = (path: string, target: string): LayerEntry => ({
  path,
  type: 'hardlink',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  target,
});

describe('what becomes of a package', () => {
  test('its files lie below merged /usr, links mean what they meant, set-user-id bits are gone', async () => {
    const { paths } = await layerOf(
      await debOf({
        name: 'demo',
        entries: [
          fileEntry('bin/su', 'x', { mode: 0o4755 }),
          fileEntry('lib/x86_64-linux-gnu/libz.so.1.3', 'elf'),
          symlinkEntry('lib/x86_64-linux-gnu/libz.so.1', 'libz.so.1.3'),
          symlinkEntry('lib/x86_64-linux-gnu/far', '../../usr/lib/y'),
          symlinkEntry('lib64/ld.so', '/lib/x86_64-linux-gnu/ld.so'),
          directoryEntry('usr/lib'),
        ],
      }),
    );
    expect(paths).toContain('-rwxr-xr-x usr/bin/su');
    expect(paths).toContain('lrwxrwxrwx usr/lib/x86_64-linux-gnu/libz.so.1 -> libz.so.1.3');
    expect(paths).toContain('lrwxrwxrwx usr/lib/x86_64-linux-gnu/far -> ../y');
    expect(paths).toContain('lrwxrwxrwx usr/lib64/ld.so -> /lib/x86_64-linux-gnu/ld.so');
    expect(paths.filter((line) => / (bin|lib|lib64)\//.test(line))).toEqual([]);
  });

  test('manuals and translations are dropped, licences and the control data stay', async () => {
    const { paths, folder } = await layerOf(
      await debOf({
        name: 'demo',
        fields: ['Depends: libc6 (>= 2.36)'],
        entries: [
          fileEntry('usr/share/doc/demo/copyright', 'MIT'),
          fileEntry('usr/share/doc/demo/changelog.gz', 'x'),
          symlinkEntry('usr/share/doc/libdemo', 'demo'),
          fileEntry('usr/share/man/man1/demo.1.gz', 'x'),
          fileEntry('usr/share/locale/de/LC_MESSAGES/demo.mo', 'x'),
          fileEntry('usr/share/demo/data', 'x'),
        ],
      }),
    );
    expect(paths.filter((line) => !line.startsWith('d')).map((line) => line.slice(11))).toEqual([
      'usr/share/demo/data',
      'usr/share/doc/demo/copyright',
      'usr/share/doc/libdemo -> demo',
      'var/lib/dpkg/status.d/demo',
    ]);
    const status = execFileSync('tar', ['-xOf', join(folder, 'layer.tar'), 'var/lib/dpkg/status.d/demo'], {
      encoding: 'utf8',
    });
    expect(status).toContain('Package: demo\nVersion: 1.0\n');
    expect(status).toContain('Depends: libc6 (>= 2.36)\n');
  });

  test('a hard link to a dropped file becomes the file', async () => {
    const { folder } = await layerOf(
      await debOf({
        name: 'demo',
        data: [
          'data.tar',
          await tarOf([
            fileEntry('usr/share/doc/demo/README', 'text'),
            hardlink('usr/share/x/b', 'usr/share/doc/demo/README'),
            hardlink('usr/share/x/a', 'usr/share/doc/demo/README'),
          ]),
        ],
      }),
    );
    await mkdir(join(folder, 'out'));
    execFileSync('tar', ['-xf', join(folder, 'layer.tar'), '-C', join(folder, 'out')]);
    expect(await readFile(join(folder, 'out/usr/share/x/a'), 'utf8')).toBe('text');
    expect(await readFile(join(folder, 'out/usr/share/x/b'), 'utf8')).toBe('text');
  });

  test('however it is compressed, the layer is the same', async () => {
    const data = await tarOf([fileEntry('usr/x', 'content '.repeat(10_000))]);
    const xz = spawnSync('xz', ['-c'], { input: data, maxBuffer: 1e8 }).stdout;
    const forms: [string, Buffer][] = [
      ['data.tar', data],
      ['data.tar.gz', gzipSync(data)],
      ['data.tar.xz', xz],
      ['data.tar.zst', zstdCompressSync(data)],
    ];
    const digests = new Set<string>();
    for (const form of forms) digests.add((await layerOf(await debOf({ name: 'demo', data: form }))).digest);
    expect(digests.size).toBe(1);
  });

  test('time zone, umask, locale and folder leave no trace in the layer', async () => {
    const folder = await testFolder();
    await writeDeb(join(folder, 'a.deb'), {
      name: 'demo',
      entries: [
        fileEntry('usr/bin/x', 'x', { mode: 0o755 }),
        fileEntry('usr/share/Äpfel', 'y'),
        fileEntry('usr/share/zebra', 'z'),
      ],
    });
    const program = (output: string) => `
      import { debianLayer } from ${JSON.stringify(new URL('./layer.ts', import.meta.url).href)};
      process.umask(Number(process.env.MASK));
      process.stdout.write((await debianLayer(${JSON.stringify(join(folder, 'a.deb'))}, ${JSON.stringify(output)})).digest);
    `;
    const build = (output: string, env: Record<string, string>) =>
      execFileSync(process.execPath, ['--input-type=module-typescript', '-e', program(output)], {
        env: { PATH: process.env.PATH, ...env },
        encoding: 'utf8',
      });
    const first = build(join(folder, 'one/layer.tar'), { TZ: 'Pacific/Kiritimati', LC_ALL: 'C', MASK: '0' });
    const second = build(join(folder, 'two/deeper/other.tar'), {
      TZ: 'America/St_Johns',
      LC_ALL: 'sv_SE.UTF-8',
      MASK: '63',
    });
    expect(second).toBe(first);
    expect(await readFile(join(folder, 'two/deeper/other.tar'))).toEqual(await readFile(join(folder, 'one/layer.tar')));
  });

  test('authorities come as one file, and as a trust store that Java reads', async () => {
    const folder = await testFolder();
    for (const name of ['one', 'two']) {
      execFileSync(
        'openssl',
        [
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:P-256',
          '-nodes',
          '-subj',
          `/CN=${name}`,
          '-days',
          '1',
          '-keyout',
          '/dev/null',
          '-out',
          join(folder, `${name}.crt`),
        ],
        { stdio: 'ignore' },
      );
    }
    const pem = await Promise.all(['one', 'two'].map((name) => readFile(join(folder, `${name}.crt`))));
    await writeDeb(join(folder, 'a.deb'), {
      name: 'ca-certificates',
      entries: pem.map((text, index) => fileEntry(`usr/share/ca-certificates/mozilla/${index}.crt`, text)),
    });
    await debianLayer(join(folder, 'a.deb'), join(folder, 'layer.tar'));
    execFileSync('tar', ['-xf', join(folder, 'layer.tar'), '-C', folder]);
    expect(await readFile(join(folder, 'etc/ssl/certs/ca-certificates.crt'), 'utf8')).toBe(pem.join(''));
    const listed = execFileSync(
      'keytool',
      ['-list', '-keystore', join(folder, 'etc/ssl/certs/java/cacerts'), '-storepass', 'changeit'],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    expect(listed).toContain('contains 2 entries');
  });
});

describe('what is no package', () => {
  const binary: [string, Buffer] = ['debian-binary', Buffer.from('2.0\n')];
  const hostile: Record<string, () => Promise<Buffer> | Buffer> = {
    'an empty file': () => Buffer.alloc(0),
    text: () => Buffer.from('not a package at all'),
    'an ar archive without members': () => arOf([]),
    'one without data': async () =>
      arOf([binary, ['control.tar', await tarOf([fileEntry('control', 'Package: a\n')])]]),
    'one without a control file': async () =>
      arOf([binary, ['control.tar', await tarOf([])], ['data.tar', await tarOf([])]]),
    'another format': async () =>
      arOf([
        ['debian-binary', Buffer.from('3.0\n')],
        ['control.tar', await tarOf([])],
        ['data.tar', await tarOf([])],
      ]),
    'a member twice': async () => arOf([binary, binary]),
    'a member that is cut off': async () => (await debOf({ name: 'demo' })).subarray(0, -40),
    'an unknown compression': () => debOf({ name: 'demo', data: ['data.tar.lzma', Buffer.from('x')] }),
    'damaged gzip': () => debOf({ name: 'demo', data: ['data.tar.gz', Buffer.from('x'.repeat(100))] }),
    'damaged xz': () => debOf({ name: 'demo', data: ['data.tar.xz', Buffer.from('x'.repeat(100))] }),
    'damaged zstd': () => debOf({ name: 'demo', data: ['data.tar.zst', Buffer.from('x'.repeat(100))] }),
    'a data archive that is cut off': async () =>
      debOf({ name: 'demo', data: ['data.tar', (await tarOf([fileEntry('a', 'x')])).subarray(0, 700)] }),
    'a name that leads elsewhere': () => debOf({ name: '../../etc/x' }),
    'files that climb out': async () =>
      debOf({ name: 'demo', data: ['data.tar', await tarOf([fileEntry('../../etc/passwd', 'x')])] }),
  };
  test.each(Object.entries(hostile))('%s is refused, and leaves nothing', async (_, make) => {
    const folder = await testFolder();
    await writeFile(join(folder, 'a.deb'), await make());
    await expect(debianLayer(join(folder, 'a.deb'), join(folder, 'out/layer.tar'))).rejects.toMatchObject({
      code: 'image/bad-archive',
    });
    expect(await readdir(join(folder, 'out')).catch(() => [])).toEqual([]);
  });
});
