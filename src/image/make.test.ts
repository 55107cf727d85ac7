import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, readlink, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { LayerFile } from './assemble.ts';
import { debianLayer } from './debian/layer.ts';
import { layoutBlob, readImageLayout } from './layout.ts';
import { type MakeRequest, makeImage } from './make.ts';
import { openBlobStore } from './store.ts';
import { fileEntry } from './tar/write.ts';
import { type DebDescription, writeDeb } from './testing/deb.ts';
import { testFolder } from './testing/folder.ts';

/** Unpacks an image as a runtime would, layer upon layer. */
async function unpack(layout: string, into: string): Promise<void> {
  await mkdir(into, { recursive: true });
  const { layers } = await readImageLayout(layout);
  for (const { digest } of layers) execFileSync('tar', ['-xpf', layoutBlob(layout, digest), '-C', into]);
}

async function make(folder: string, request: Partial<MakeRequest>) {
  const store = await openBlobStore(join(folder, 'blobs'));
  return makeImage({ store, output: join(folder, 'image.oci'), packages: [], files: [], config: {}, ...request });
}

describe('a layer that was made before', () => {
  const gitId = (text: string) =>
    createHash('sha1')
      .update(`blob ${Buffer.byteLength(text)}\0${text}`)
      .digest('hex');

  test('is known by the names of its files, which are not read again', async () => {
    const folder = await testFolder();
    const [lib, app] = [join(folder, 'lib'), join(folder, 'app')];
    await mkdir(join(lib, 'deep'), { recursive: true });
    await writeFile(join(lib, 'deep/one'), 'one');
    await writeFile(app, 'first');
    const build = (identity: string, text: string) =>
      make(folder, {
        layers: [{ name: 'lib', files: [{ destination: '/lib', source: lib, identity }] }],
        files: [{ destination: '/app', source: app, identity: `git ${gitId(text)}`, gitId: gitId(text) }],
      });
    const first = await build('a', 'first');
    // Were it read, it would be told from what it was; its name says that it need not be.
    await writeFile(join(lib, 'deep/one'), 'two');
    await writeFile(app, 'other');
    const second = await build('a', 'other');
    expect(second.layers.at(-2)).toEqual(first.layers.at(-2));
    expect(second.layers.at(-1)).not.toEqual(first.layers.at(-1));
    const third = await build('b', 'other');
    expect(third.layers.at(-2)).not.toEqual(first.layers.at(-2));
    expect(third.layers.at(-1)).toEqual(second.layers.at(-1));
  });

  test('is made again where the store has lost it, and with another mode, owner or place', async () => {
    const folder = await testFolder();
    const source = join(folder, 'file');
    await writeFile(source, 'content');
    const file = { destination: '/a', source, identity: 'a' };
    const first = await make(folder, { files: [file] });
    for (const other of [{ mode: 0o600 }, { uid: 7 }, { gid: 7 }, { destination: '/b' }])
      expect((await make(folder, { files: [{ ...file, ...other }] })).layers.at(-1)).not.toEqual(first.layers.at(-1));
    const { digest } = first.layers.at(-1)!;
    await rm(join(folder, 'blobs/sha256', digest.slice('sha256:'.length)), { force: true });
    await writeFile(source, 'changed');
    expect((await make(folder, { files: [file] })).layers.at(-1)?.digest).not.toBe(digest);
  });

  test('lends its name to nothing where a source was edited while it was read', async () => {
    const folder = await testFolder();
    const source = join(folder, 'file');
    await writeFile(source, 'edited!');
    const file = { destination: '/a', source, identity: `git ${gitId('content')}`, gitId: gitId('content') };
    const edited = await make(folder, { files: [file] });
    await writeFile(source, 'content');
    const right = await make(folder, { files: [file] });
    expect(right.layers.at(-1)).not.toEqual(edited.layers.at(-1));
    expect((await make(folder, { files: [{ destination: '/a', source }] })).layers.at(-1)).toEqual(right.layers.at(-1));
  });
});

describe('packages that have a say about the same place', () => {
  const script = (link: string, target: string, priority: number, slave = '') =>
    `update-alternatives --install ${link} ${link.split('/').at(-1)} ${target} ${priority}${slave}\n`;

  async function rootOf(
    descriptions: readonly DebDescription[],
    base?: string,
  ): Promise<{ root: string; history: string[]; layout: string }> {
    const folder = await testFolder();
    const packages: LayerFile[] = [];
    for (const each of descriptions) {
      await writeDeb(join(folder, `${each.name}.deb`), each);
      const layer = await debianLayer(join(folder, `${each.name}.deb`), join(folder, `${each.name}.tar`));
      packages.push({ path: layer.path, digest: layer.digest, createdBy: `debian ${each.name} 1.0` });
    }
    const { layout } = await make(folder, { packages, base });
    const { configuration } = await readImageLayout(layout);
    const root = join(folder, 'root');
    execFileSync('umoci', [
      '--log=error',
      'raw',
      'unpack',
      '--rootless',
      '--image',
      `${layout}:${(await readImageLayout(layout)).configDigest.slice(7, 19)}`,
      root,
    ]);
    return { root, layout, history: configuration.history.map(({ created_by }) => String(created_by)) };
  }

  const nano: DebDescription = {
    name: 'nano',
    entries: [fileEntry('bin/nano', 'nano')],
    control: { postinst: script('/usr/bin/editor', '/bin/nano', 40) },
  };
  const vim: DebDescription = {
    name: 'vim',
    entries: [fileEntry('usr/bin/vim', 'vim'), fileEntry('usr/bin/vimhelp', 'help')],
    control: {
      postinst: script('/usr/bin/editor', '/usr/bin/vim', 15, ' --slave /usr/bin/helper helper /usr/bin/vimhelp'),
    },
  };

  test('the alternative with the highest priority has the link, whichever layer lies higher', async () => {
    const both = await rootOf([vim, nano]);
    expect(await readlink(join(both.root, 'usr/bin/editor'))).toBe('/bin/nano');
    // It goes with vim's, which is not taken.
    await expect(readlink(join(both.root, 'usr/bin/helper'))).rejects.toThrow('ENOENT');
    expect(both.history).toContain('alternatives and diversions of packages');
    const one = await rootOf([vim]);
    expect(await readlink(join(one.root, 'usr/bin/helper'))).toBe('/usr/bin/vimhelp');
    expect(one.history).not.toContain('alternatives and diversions of packages');
    const emacs = { ...nano, name: 'emacs', control: { postinst: script('/usr/bin/editor', '/bin/nano', 0) } };
    expect(await readlink(join((await rootOf([vim, emacs])).root, 'usr/bin/editor'))).toBe('/usr/bin/vim');
  });

  test('those of the image below count, too', async () => {
    const below = await rootOf([nano]);
    const above = await rootOf([vim], below.layout);
    expect(await readlink(join(above.root, 'usr/bin/editor'))).toBe('/bin/nano');
  });

  test('a diverted file lies elsewhere, and the package that diverts it has its own in place', async () => {
    const own: DebDescription = {
      name: 'a-common',
      entries: [fileEntry('usr/bin/config', 'common', { mode: 0o755 })],
      control: {
        preinst: `dpkg-divert --package a-common --rename --divert /usr/bin/config.dev --add /usr/bin/config
dpkg-divert --package a-common --add /usr/bin/away\n`,
      },
    };
    const other: DebDescription = {
      name: 'z-dev',
      entries: [fileEntry('usr/bin/config', 'dev', { mode: 0o755 }), fileEntry('usr/bin/away', 'gone')],
    };
    const { root } = await rootOf([own, other]);
    expect(await readFile(join(root, 'usr/bin/config'), 'utf8')).toBe('common');
    expect(await readFile(join(root, 'usr/bin/config.dev'), 'utf8')).toBe('dev');
    expect((await stat(join(root, 'usr/bin/config.dev'))).mode & 0o777).toBe(0o755);
    expect(await readFile(join(root, 'usr/bin/away.distrib'), 'utf8')).toBe('gone');
    await expect(stat(join(root, 'usr/bin/away'))).rejects.toThrow('ENOENT');
    // Again on top of itself: nothing moves twice.
    const first = await rootOf([own, other]);
    const again = await rootOf([own, other, { name: 'more', entries: [fileEntry('usr/bin/x', 'x')] }], first.layout);
    expect(await readFile(join(again.root, 'usr/bin/config'), 'utf8')).toBe('common');
    expect(await readFile(join(again.root, 'usr/bin/config.dev'), 'utf8')).toBe('dev');
  });

  test('what a base says of it is not believed beyond links and files', async () => {
    const below = await rootOf([nano]);
    const folder = await testFolder();
    const { layout } = await make(folder, {
      base: below.layout,
      files: [
        {
          destination: '/var/lib/dpkg/links.d/evil',
          content: '{"alternatives":[{"link":"../../x","target":"/y","priority":1,"others":[]}],"diversions":[]}',
        },
      ],
    });
    await expect(rootOf([vim], layout)).rejects.toMatchObject({ code: 'image/bad-archive' });
  });
});

test('an image made twice, in different places, at different times and with another umask, is the same', async () => {
  const results = [];
  const former = process.umask();
  for (const [index, mask] of [0o022, 0o077].entries()) {
    const folder = await testFolder();
    process.umask(mask);
    try {
      await mkdir(join(folder, 'app'));
      await writeFile(join(folder, 'app/run'), '#!/bin/sh\n');
      await writeFile(join(folder, 'app/ü.txt'), 'data');
      await chmod(join(folder, 'app/run'), mask === 0o077 ? 0o700 : 0o755);
      await utimes(join(folder, 'app/run'), index * 1e6, index * 1e6);
      await writeDeb(join(folder, 'a.deb'), { name: 'liba', entries: [fileEntry('usr/lib/a', 'a')] });
      await writeDeb(join(folder, 'b.deb'), { name: 'libb', entries: [fileEntry('usr/lib/b', 'b')] });
      const packages = await Promise.all(
        ['a', 'b'].map((name) => debianLayer(join(folder, `${name}.deb`), join(folder, `${name}.tar`))),
      );
      if (index === 1) packages.reverse();
      results.push(
        await make(folder, {
          packages: packages.map(({ path, name }) => ({ path, createdBy: `debian ${name}` })),
          files: [{ destination: '/app', source: join(folder, 'app') }],
          users: { ledger: { uid: 1000 } },
          config: index === 0 ? { env: { A: '1', B: '2' }, cmd: ['x'] } : { cmd: ['x'], env: { B: '2', A: '1' } },
        }),
      );
    } finally {
      process.umask(former);
    }
  }
  const [first, second] = results;
  expect(second?.digest).toBe(first?.digest);
  expect(second?.tag).toMatch(/^[0-9a-f]{12}$/);
  expect(first?.configDigest).toContain(first?.tag);
});

test('the layout is what the specification says, its blobs are links into the store', async () => {
  const folder = await testFolder();
  const image = await make(folder, {
    files: [{ destination: '/x', content: 'x' }],
    config: { entrypoint: ['/x'], exposedPorts: ['8080/tcp'] },
  });
  expect(JSON.parse(await readFile(join(image.layout, 'oci-layout'), 'utf8'))).toEqual({ imageLayoutVersion: '1.0.0' });
  const index = JSON.parse(await readFile(join(image.layout, 'index.json'), 'utf8'));
  expect(index).toMatchObject({
    schemaVersion: 2,
    manifests: [
      {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: image.digest,
        annotations: { 'org.opencontainers.image.ref.name': image.tag },
      },
    ],
  });
  const { configuration, layers } = await readImageLayout(image.layout);
  expect(configuration.diffIds).toEqual(layers.map(({ digest }) => digest));
  expect(configuration.config).toEqual({
    Entrypoint: ['/x'],
    Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    ExposedPorts: { '8080/tcp': {} },
    User: '65532:65532',
    WorkingDir: '/',
  });
  const store = await openBlobStore(join(folder, 'blobs'));
  for (const { digest, size } of layers) {
    const found = await stat(layoutBlob(image.layout, digest));
    expect([found.size, found.ino]).toEqual([size, (await stat(store.path(digest))).ino]);
  }
});

test('one changed byte of a file changes the topmost layer and the tag, and nothing below', async () => {
  const folder = await testFolder();
  const first = await make(folder, { files: [{ destination: '/x', content: 'x' }] });
  const second = await make(folder, { files: [{ destination: '/x', content: 'y' }] });
  expect(second.tag).not.toBe(first.tag);
  expect(second.layers[0]).toEqual(first.layers[0]);
  expect(second.layers[1]).not.toEqual(first.layers[1]);
});

test('accounts, folders and files are as told; a file below /bin does not break the link', async () => {
  const folder = await testFolder();
  await mkdir(join(folder, 'tree/sub'), { recursive: true });
  await writeFile(join(folder, 'tree/sub/data'), 'd', { mode: 0o600 });
  await symlink('sub/data', join(folder, 'tree/link'));
  const image = await make(folder, {
    users: { postgres: { uid: 999 } },
    files: [
      { destination: '/bin/tool', content: '#!', mode: 0o755 },
      { destination: '/srv/', source: join(folder, 'tree') },
      { destination: '/var/lib/postgres/conf', content: 'c', uid: 999, gid: 999 },
    ],
  });
  const root = join(folder, 'root');
  await unpack(image.layout, root);
  expect(await readFile(join(root, 'usr/bin/tool'), 'utf8')).toBe('#!');
  expect(await readFile(join(root, 'bin/tool'), 'utf8')).toBe('#!');
  expect(await readFile(join(root, 'srv/tree/link'), 'utf8')).toBe('d');
  expect((await stat(join(root, 'srv/tree/sub/data'))).mode & 0o7777).toBe(0o644);
  expect((await stat(join(root, 'tmp'))).mode & 0o7777).toBe(0o1777);
  const passwd = await readFile(join(root, 'etc/passwd'), 'utf8');
  expect(passwd).toContain('postgres:x:999:999:postgres:/var/lib/postgres:/usr/sbin/nologin\n');
  expect(passwd).toContain('nonroot:x:65532:65532:');
  expect(await readFile(join(root, 'etc/group'), 'utf8')).toContain('postgres:x:999:\n');
  // The folder that a file brings along must not take the home from its owner.
  const files = execFileSync(
    'tar',
    ['--numeric-owner', '-tvf', layoutBlob(image.layout, image.layers.at(-1)!.digest)],
    { encoding: 'utf8' },
  );
  expect(files).toMatch(/drwxr-xr-x 999\/999 .* var\/lib\/postgres\/\n/);
});

test('an image on a base has its layers, its environment and its accounts', async () => {
  const folder = await testFolder();
  const base = await make(folder, {
    output: join(folder, 'base.oci'),
    users: { first: { uid: 1001 } },
    config: { env: { A: '1', B: '2' }, entrypoint: ['/base'], cmd: ['arg'], user: '1001:1001' },
  });
  const image = await make(folder, {
    base: base.layout,
    users: { second: { uid: 1002 } },
    files: [{ destination: '/x', content: 'x' }],
    config: { env: { B: '3' } },
  });
  expect(image.layers[0]).toEqual(base.layers[0]);
  const { config } = (await readImageLayout(image.layout)).configuration;
  expect(config).toMatchObject({ Entrypoint: ['/base'], Cmd: ['arg'], User: '1001:1001' });
  expect(config.Env).toEqual(expect.arrayContaining(['A=1', 'B=3']));
  await unpack(image.layout, join(folder, 'root'));
  expect(await readFile(join(folder, 'root/etc/passwd'), 'utf8')).toMatch(/first:x:1001[\s\S]*second:x:1002/);
  // By number, as Kubernetes wants it for `runAsNonRoot`; names are of this image and of the base.
  for (const [user, number] of [
    ['second:first', '1002:1001'],
    ['first', '1001:1001'],
    ['1002', '1002'],
  ] as const) {
    const named = await make(folder, { base: base.layout, users: { second: { uid: 1002 } }, config: { user } });
    expect((await readImageLayout(named.layout)).configuration.config).toMatchObject({ User: number });
  }
  const other = await make(folder, { base: base.layout, config: { entrypoint: ['/other'] } });
  expect((await readImageLayout(other.layout)).configuration.config).not.toHaveProperty('Cmd');
});

describe('what makes no image', () => {
  const cases: [string, Partial<MakeRequest>, string][] = [
    ['a relative path', { files: [{ destination: 'x', content: '' }] }, 'image/bad-file'],
    ['a path with ..', { files: [{ destination: '/a/../../x', content: '' }] }, 'image/bad-file'],
    ['the root', { files: [{ destination: '/', source: '/etc/hostname/..' }] }, 'image/bad-file'],
    ['a missing source', { files: [{ destination: '/x', source: '/nonexistent/file' }] }, 'image/bad-file'],
    ['a device as source', { files: [{ destination: '/x', source: '/dev/null' }] }, 'image/bad-file'],
    [
      'one path for two files',
      {
        files: [
          { destination: '/x', content: 'a' },
          { destination: '//x', content: 'b' },
        ],
      },
      'image/bad-file',
    ],
    [
      'one path under two names',
      {
        files: [
          { destination: '/bin/x', content: 'a' },
          { destination: '/usr/bin/x', content: 'b' },
        ],
      },
      'image/bad-file',
    ],
    [
      'a file below a file',
      {
        files: [
          { destination: '/x', content: 'a' },
          { destination: '/x/y', content: 'b' },
        ],
      },
      'image/bad-file',
    ],
    ['a user with a bad name', { users: { 'a:b': { uid: 1000 } } }, 'image/bad-user'],
    ['a user with the number of another', { users: { a: { uid: 1000 }, b: { uid: 1000 } } }, 'image/bad-user'],
    ["a user with nonroot's number", { users: { a: { uid: 65532 } } }, 'image/bad-user'],
    ['a user with no number', { users: { a: { uid: -1 } } }, 'image/bad-user'],
    ['a base that is none', { base: '/etc' }, 'image/bad-layout'],
    ['a relative working folder', { config: { workdir: 'x' } }, 'image/bad-file'],
    ['a variable with =', { config: { env: { 'A=B': 'x' } } }, 'image/bad-file'],
  ];
  test.each(cases)('%s', async (_, request, code) => {
    await expect(make(await testFolder(), request)).rejects.toMatchObject({ code });
  });
});

test.runIf(process.getuid?.() === 0)('a program of a package runs in the image', async () => {
  const folder = await testFolder();
  // The shell of this machine with the libraries that it needs, laid out as packages did before /usr was merged.
  const libraries = execFileSync('ldd', ['/bin/dash'], { encoding: 'utf8' }).match(/\/[^\s]+/g) ?? [];
  const paths = ['/bin/dash', ...libraries.map((path) => path.replace(/^\/usr/, ''))];
  await writeDeb(join(folder, 'dash.deb'), {
    name: 'dash',
    entries: await Promise.all(
      [...new Set(paths)].map(async (path) => fileEntry(path.slice(1), await readFile(path), { mode: 0o755 })),
    ),
  });
  const layer = await debianLayer(join(folder, 'dash.deb'), join(folder, 'dash.tar'));
  const image = await make(folder, {
    packages: [layer],
    files: [{ destination: '/hello.sh', content: 'echo hello from $HOME' }],
  });
  await unpack(image.layout, join(folder, 'root'));
  const said = execFileSync('chroot', ['--userspec=65532:65532', join(folder, 'root'), '/bin/dash', '/hello.sh'], {
    env: { HOME: '/home/nonroot', PATH: process.env.PATH },
    encoding: 'utf8',
  });
  expect(said).toBe('hello from /home/nonroot\n');
});

test("authorities of one's own are trusted beside those of the packages, by programs and by Java", async () => {
  const folder = await testFolder();
  const authority = async (name: string) => {
    const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.pem`)];
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
    execFileSync('openssl', [...args, '-subj', `/CN=${name}`, '-keyout', key, '-out', certificate], {
      stdio: 'ignore',
    });
    return readFile(certificate, 'utf8');
  };
  const [public_, own] = [await authority('public'), await authority('own')];
  await writeDeb(join(folder, 'a.deb'), {
    name: 'ca-certificates',
    entries: [fileEntry('usr/share/ca-certificates/mozilla/public.crt', public_)],
  });
  const layer = await debianLayer(join(folder, 'a.deb'), join(folder, 'layer.tar'));
  const image = await make(folder, {
    packages: [{ path: layer.path, createdBy: 'debian ca-certificates 1' }],
    certificates: [join(folder, 'own.pem')],
  });
  await unpack(image.layout, join(folder, 'root'));
  expect(await readFile(join(folder, 'root/etc/ssl/certs/ca-certificates.crt'), 'utf8')).toBe(public_ + own);
  const store = join(folder, 'root/etc/ssl/certs/java/cacerts');
  const listed = execFileSync('keytool', ['-list', '-keystore', store, '-storepass', 'changeit'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  expect(listed).toContain('contains 2 entries');
  // A key in the file would be published with the image.
  await expect(make(folder, { certificates: [join(folder, 'own.key')] })).rejects.toThrow(/holds a private key/);
});

test('accounts of a base of another maker keep their names and numbers', async () => {
  const folder = await testFolder();
  const base = await make(folder, {
    output: join(folder, 'base.oci'),
    // As Alpine has them: other numbers for names that Debian knows, and one number twice.
    files: [],
    layers: [],
  });
  const passwd = 'root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\nguest:x:405:100::/:/x\n';
  const alpine = await make(folder, {
    base: base.layout,
    output: join(folder, 'alpine.oci'),
    files: [
      { destination: '/etc/passwd', content: passwd },
      { destination: '/etc/group', content: 'root:x:0:root\nutmp:x:406:\nnobody:x:65534:\nusers:x:100:\n' },
    ],
  });
  const image = await make(folder, { base: alpine.layout, users: { app: { uid: 1000, gid: 100 } } });
  await unpack(image.layout, join(folder, 'root'));
  const group = await readFile(join(folder, 'root/etc/group'), 'utf8');
  expect(group).toContain('utmp:x:406:\n');
  expect(group).toContain('nobody:x:65534:\n');
  expect(group).not.toMatch(/nogroup|^app:/m);
  expect(await readFile(join(folder, 'root/etc/passwd'), 'utf8')).toMatch(
    /toor:x:0:[\s\S]*guest:x:405:[\s\S]*app:x:1000:100:/,
  );
});
