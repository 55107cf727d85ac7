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

  test('sums of the files that stay lie beside the control data, at the paths that they have here', async () => {
    const sum = (digit: string) => digit.repeat(32);
    const { folder } = await layerOf(
      await debOf({
        name: 'demo',
        entries: [fileEntry('bin/demo', 'x'), fileEntry('usr/share/man/man1/demo.1.gz', 'x')],
        control: { md5sums: `${sum('b')}  usr/share/man/man1/demo.1.gz\n${sum('a')}  bin/demo\nnot a sum\n` },
      }),
    );
    const text = execFileSync('tar', ['-xOf', join(folder, 'layer.tar'), 'var/lib/dpkg/status.d/demo.md5sums'], {
      encoding: 'utf8',
    });
    expect(text).toBe(`${sum('a')}  usr/bin/demo\n`);
  });

  test('alternatives that its script names are links, without the script being run', async () => {
    const postinst = `#!/bin/sh
set -e
touch /tmp/banksman-was-here
update-alternatives --quiet --install /usr/bin/awk awk /usr/bin/mawk 5 \\
  --slave /usr/bin/nawk nawk /usr/bin/mawk \\
  --slave /usr/bin/other other /usr/bin/not-here
for x in a b; do
  update-alternatives --install /usr/bin/$x $x /usr/bin/mawk 5
done
update-alternatives --install /etc/passwd x /usr/bin/mawk 5
echo update-alternatives --install /usr/bin/said said /usr/bin/mawk 5
`;
    const { paths } = await layerOf(
      await debOf({
        name: 'mawk',
        entries: [fileEntry('usr/bin/mawk', 'x', { mode: 0o755 }), fileEntry('etc/passwd', 'x')],
        control: { postinst },
      }),
    );
    expect(paths.filter((line) => line.startsWith('l')).map((line) => line.slice(11))).toEqual([
      'usr/bin/a -> /usr/bin/mawk',
      'usr/bin/awk -> /usr/bin/mawk',
      'usr/bin/b -> /usr/bin/mawk',
      'usr/bin/nawk -> /usr/bin/mawk',
    ]);
  });

  test('links that its script makes in a way that can not be told are an error, until somebody sees to them', async () => {
    const folder = await testFolder();
    await writeDeb(join(folder, 'a.deb'), {
      name: 'tool',
      entries: [fileEntry('usr/bin/tool.real', 'x')],
      control: { preinst: 'dpkg-divert --add "$(which tool)"\n' },
    });
    const layer = join(folder, 'layer.tar');
    await expect(debianLayer(join(folder, 'a.deb'), layer)).rejects.toMatchObject({
      code: 'image/package-script',
      message: expect.stringContaining('the installation script of tool'),
      notes: ['it has: dpkg-divert --add "$(which tool)"'],
      next: expect.stringMatching(/symlinks of docker_image.*scripts_by_hand of debian_packages/),
    });
    expect(await readdir(folder)).toEqual(['a.deb']);
    await debianLayer(join(folder, 'a.deb'), layer, { scriptsByHand: true });
  });

  test('links of merged /usr in a package of a newer release are those that every image has', async () => {
    const { paths } = await layerOf(
      await debOf({
        name: 'base-files',
        entries: [symlinkEntry('bin', 'usr/bin'), symlinkEntry('lib64', 'usr/lib64'), fileEntry('usr/bin/x', 'x')],
      }),
    );
    expect(paths.filter((line) => line.startsWith('l'))).toEqual([]);
    expect(paths).toContain('-rw-r--r-- usr/bin/x');
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
    'files of other packages removed': async () =>
      debOf({ name: 'demo', entries: [fileEntry('usr/bin/.wh.sudo', '')] }),
    'a folder of others made empty': async () => debOf({ name: 'demo', entries: [fileEntry('etc/.wh..wh..opq', '')] }),
    'another package said to be installed': async () =>
      debOf({ name: 'demo', entries: [fileEntry('var/lib/dpkg/status.d/libc6', 'Package: libc6\nVersion: 99\n')] }),
    'a status file': async () => debOf({ name: 'demo', entries: [fileEntry('var/lib/dpkg/status', 'x')] }),
    'a link in place of /usr/bin': async () => debOf({ name: 'demo', entries: [symlinkEntry('bin', 'tmp/evil')] }),
    'a link that climbs out': async () =>
      debOf({ name: 'demo', data: ['data.tar', await tarOf([symlinkEntry('a/b', '../../../etc')])] }),
    'a file below a link': async () =>
      debOf({ name: 'demo', data: ['data.tar', await tarOf([symlinkEntry('a', '/etc'), fileEntry('a/passwd', 'x')])] }),
    'a hard link to what is outside': async () =>
      debOf({ name: 'demo', data: ['data.tar', await tarOf([hardlink('a', 'etc/shadow')])] }),
    'one path twice': async () =>
      debOf({ name: 'demo', data: ['data.tar', await tarOf([fileEntry('a', '1'), fileEntry('a', '2')])] }),
    'a device': () => debOf({ name: 'demo', data: ['data.tar', special('dev/sda', '4')] }),
    'a pipe': () => debOf({ name: 'demo', data: ['data.tar', special('run/pipe', '6')] }),
    'a wrong sum of a header': async () => {
      const tar = await tarOf([fileEntry('a', 'x')]);
      tar[0] = 0x62;
      return debOf({ name: 'demo', data: ['data.tar', tar] });
    },
    'a size that is no number': async () => {
      const deb = await debOf({ name: 'demo' });
      deb.write('99999999x ', 8 + 48, 'latin1');
      return deb;
    },
  };
  test.each(Object.entries(hostile))('%s is refused, and leaves nothing', async (_, make) => {
    const folder = await testFolder();
    await writeFile(join(folder, 'a.deb'), await make());
    await expect(debianLayer(join(folder, 'a.deb'), join(folder, 'out/layer.tar'))).rejects.toMatchObject({
      code: 'image/bad-archive',
    });
    expect(await readdir(join(folder, 'out')).catch(() => [])).toEqual([]);
  });

  const bombs: Record<string, () => Promise<Buffer> | Buffer> = {
    gzip: () => debOf({ name: 'demo', data: ['data.tar.gz', gzipSync(Buffer.alloc(80 * 1024 * 1024))] }),
    zstd: () => debOf({ name: 'demo', data: ['data.tar.zst', zstdCompressSync(Buffer.alloc(80 * 1024 * 1024))] }),
    xz: () => {
      const { stdout } = spawnSync('xz', ['-c', '-1'], { input: Buffer.alloc(80 * 1024 * 1024), maxBuffer: 1e8 });
      return debOf({ name: 'demo', data: ['data.tar.xz', stdout] });
    },
  };
  test.each(Object.entries(bombs))('a bomb of %s is refused before it fills the disk', async (_, make) => {
    const folder = await testFolder();
    await writeFile(join(folder, 'a.deb'), await make());
    await expect(debianLayer(join(folder, 'a.deb'), join(folder, 'out/layer.tar'))).rejects.toMatchObject({
      code: 'image/too-large',
    });
    expect(await readdir(join(folder, 'out')).catch(() => [])).toEqual([]);
  });
});

/** An archive with an entry of a type that our own writer does not write. */
function special(path: string, flag: string): Buffer {
  const block = Buffer.alloc(512);
  block.write(path, 0);
  block.write('0000644\0', 100);
  block.write('0000000\0', 108);
  block.write('0000000\0', 116);
  block.write('00000000000\0', 124);
  block.write('00000000000\0', 136);
  block.write('        ', 148);
  block.write(flag, 156);
  block.write('ustar\x0000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([block, Buffer.alloc(1024)]);
}
