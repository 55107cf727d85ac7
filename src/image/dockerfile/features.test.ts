// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are of Dockerfiles, whose variables look so
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, createReadStream, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { storeImage } from '../assemble.ts';
import { canonicalJson } from '../canonical.ts';
import { digestOf } from '../digest.ts';
import { layoutBlob, readImageLayout } from '../layout.ts';
import { mediaTypes } from '../manifest.ts';
import { machineArchitecture } from '../platform.ts';
import { openBlobStore } from '../store.ts';
import { readTar } from '../tar/read.ts';
import { directoryEntry, fileEntry } from '../tar/write.ts';
import { tarOf } from '../testing/deb.ts';
import { testFolder } from '../testing/folder.ts';
import { listenLocally } from '../testing/local-registry.ts';
import { baseLabel, type Case, make, makeBase } from './testing/case.ts';

/** What each layer holds, folders left out, as `path mode owner content`. */
async function layersOf(layout: string): Promise<string[][]> {
  const { layers } = await readImageLayout(layout);
  return layers.map(({ digest }) => {
    const blob = layoutBlob(layout, digest);
    const lines = execFileSync('tar', ['--numeric-owner', '-tvf', blob], { encoding: 'utf8' }).trimEnd().split('\n');
    return lines.flatMap((line) => {
      const [mode = '', owner = '', , , , path = '', ...rest] = line.split(/\s+/);
      if (mode.startsWith('d')) return [];
      const content = mode.startsWith('-')
        ? execFileSync('tar', ['-xOf', blob, path], { encoding: 'utf8' })
        : rest.join(' ');
      return [`${path} ${mode.slice(1)} ${owner} ${content.trim()}`.trim()];
    });
  });
}

async function made(given: Case) {
  const folder = await testFolder();
  const base = await makeBase(folder);
  const image = await make(folder, given, { imageOf: (label) => (label === baseLabel ? base : undefined) });
  const { configuration } = await readImageLayout(image.layout);
  const all = await layersOf(image.layout);
  const below = (await readImageLayout(base)).layers.length;
  const own = given.files.Dockerfile?.includes(baseLabel) ? all.slice(below) : all;
  return { ...image, configuration, config: configuration.config, own, files: own.flat() };
}

test('a source that is edited while it is read lends its name to nothing that is kept', async () => {
  const folder = await testFolder();
  const archive = (text: string) => tarOf([fileEntry('inside', text)]);
  const sourceId = (bytes: string | Buffer) =>
    createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
  const given: Case = { files: { Dockerfile: 'FROM scratch\nCOPY text /\nADD a.tar /x/', text: 'first', 'a.tar': '' } };
  const build = async (named: { text: string; archive: Buffer }, there = named) => {
    const image = await make(
      folder,
      {
        ...given,
        files: { ...given.files, text: there.text },
        prepare: (context) => writeFileSync(join(context, 'a.tar'), there.archive),
      },
      {
        context: ['text', 'a.tar'].map((path) => ({
          path,
          absolute: join(folder, 'context', path),
          kind: 'file',
          executable: false,
          sourceId: sourceId(path === 'text' ? named.text : named.archive),
          get sha256(): string {
            throw new Error('what has a name is not read for another one');
          },
        })),
      },
    );
    return await layersOf(image.layout);
  };
  const first = { text: 'first', archive: await archive('one') };
  const second = { text: 'other', archive: await archive('two') };
  await build(first, second);
  expect(await build(first)).toEqual([['text rw-r--r-- 0/0 first'], ['x/inside rw-r--r-- 0/0 one']]);
  // What is known by its name is not read again: it may be gone by then.
  expect(await build(first, { text: 'wrong', archive: await archive('bad') })).toEqual(await build(first));
  expect(await build(second)).toEqual([['text rw-r--r-- 0/0 other'], ['x/inside rw-r--r-- 0/0 two']]);
});

test('the same input gives the same bytes, whatever the umask, the modes, times and places of the checkout', async () => {
  const given: Case = {
    files: {
      Dockerfile: 'FROM scratch\nWORKDIR /w\nCOPY . /\nADD a.tar /x/\nCOPY --chmod=go=u sub /y/',
      'sub/ü': 'u',
      'run*': '#!',
    },
    prepare: (context) =>
      execFileSync('tar', [
        '-cf',
        join(context, 'a.tar'),
        '--mtime=@0',
        '--owner=0',
        '--group=0',
        '-C',
        context,
        'run',
      ]),
  };
  const first = await make(await testFolder(), given);
  const former = process.umask(0o077);
  try {
    const second = await make(await testFolder(), {
      ...given,
      prepare: (context) => {
        given.prepare?.(context);
        chmodSync(join(context, 'sub'), 0o700);
        chmodSync(join(context, 'sub/ü'), 0o600);
        utimesSync(join(context, 'run'), 1e6, 1e6);
      },
    });
    expect(second.digest).toBe(first.digest);
  } finally {
    process.umask(former);
  }
});

test("capabilities of a base's programs go along with COPY --from; labels of a machine do not", async () => {
  const folder = await testFolder();
  const store = await openBlobStore(join(folder, 'blobs'));
  // CAP_NET_RAW, permitted and effective: capabilities(7), struct vfs_cap_data.
  const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex').toString('base64');
  const own = { 'security.capability': capability, 'user.note': Buffer.from('a\0b\n').toString('base64') };
  const attributes = { ...own, 'security.selinux': 'eA==', 'user.overlay.opaque': 'eQ==' };
  const layer = await store.put(await tarOf([{ ...fileEntry('usr/bin/ping', 'p', { mode: 0o755 }), attributes }]));
  const base = await storeImage({
    store,
    output: join(folder, 'base.oci'),
    architecture: machineArchitecture(),
    configuration: canonicalJson({
      architecture: machineArchitecture(),
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
      history: [{}],
    }),
    layers: [{ mediaType: mediaTypes.layer, ...layer }],
  });
  const given = { files: { Dockerfile: `FROM scratch\nCOPY --from=${baseLabel} --chown=5:6 /usr/bin/ping /ping\n` } };
  const image = await make(folder, given, { imageOf: () => base.layout });
  const blob = layoutBlob(image.layout, (await readImageLayout(image.layout)).layers[0]!.digest);
  const found: object[] = [];
  for await (const { path, uid, attributes: kept } of readTar(createReadStream(blob), 'it', undefined, () => {}))
    found.push({ path, uid, kept });
  expect(found).toEqual([{ path: 'ping', uid: 5, kept: own }]);
  const listing = execFileSync('tar', ['--xattrs', '--xattrs-include=*', '-tvvf', blob], { encoding: 'utf8' });
  expect(listing.match(/[a-z]+[.][a-z]+$/gm)).toEqual(['security.capability', 'user.note']);
});

test('a change of one file is a change of its layer, and of nothing below or beside it', async () => {
  const folder = await testFolder();
  const files = { Dockerfile: 'FROM scratch\nCOPY a /\nCOPY b /\nCOPY c /\n', a: 'a', b: 'b', c: 'c' };
  const first = await make(folder, { files });
  const second = await make(folder, { files: { ...files, b: 'changed' } });
  expect(second.layers[0]).toEqual(first.layers[0]);
  expect(second.layers[1]).not.toEqual(first.layers[1]);
  expect(second.layers[2]).toEqual(first.layers[2]);
  expect(second.tag).not.toBe(first.tag);
});

test('a layer that was made before is not read again', async () => {
  const folder = await testFolder();
  const given = { files: { Dockerfile: 'FROM scratch\nCOPY a /\n', a: 'first' } };
  const first = await make(folder, given);
  // The name for the content stays, the bytes do not: who reads them makes another layer.
  const context = [
    {
      path: 'a',
      absolute: join(folder, 'context/a'),
      kind: 'file',
      sha256: digestOf('first').slice(7),
      executable: false,
    },
  ] as const;
  const second = await make(folder, { files: { ...given.files, a: 'other' } }, { context });
  expect(second.digest).toBe(first.digest);
});

test('heredocs are files, with variables in them or without', async () => {
  const { files } = await made({
    files: {
      Dockerfile:
        'FROM scratch\nENV X=1\nCOPY <<one <<-"two" /etc/\na=$X \\$X "${X:-y}"\none\n\t\tb=$X\n\ttwo\nCOPY --chmod=755 --chown=1:2 <<EOF /run.sh\n#!/bin/sh\nEOF\n',
    },
  });
  expect(files).toEqual([
    'etc/one rw-r--r-- 0/0 a=1 $X "1"',
    'etc/two rw-r--r-- 0/0 b=$X',
    'run.sh rwxr-xr-x 1/2 #!/bin/sh',
  ]);
});

test('--exclude, --parents and --link', async () => {
  const { own } = await made({
    files: {
      Dockerfile: [
        `FROM ${baseLabel}`,
        'COPY --exclude=*.md --exclude=**/test --exclude=!keep.md . /excluded/',
        'COPY --exclude=*.md a* /single/',
        'COPY --parents ./x/y/a.txt b.md /parents/',
        'COPY --parents x/./y/*.txt /pivot/',
        'COPY --parents **/deep.txt /any/',
        'COPY --link b.md /bin/linked',
      ].join('\n'),
      'a.txt': 'a',
      'a.md': 'am',
      'b.md': 'b',
      'keep.md': 'k',
      'x/y/a.txt': 'xa',
      'x/y/b.md': 'xb',
      'x/test/t': 't',
      'x/y/z/deep.txt': 'd',
    },
  });
  const names = own.map((layer) => layer.map((line) => line.split(' ')[0]));
  expect(names).toEqual([
    [
      'excluded/Dockerfile',
      'excluded/a.txt',
      'excluded/keep.md',
      'excluded/x/y/a.txt',
      'excluded/x/y/b.md',
      'excluded/x/y/z/deep.txt',
    ],
    ['single/a.txt'],
    ['parents/b.md', 'parents/x/y/a.txt'],
    ['pivot/y/a.txt'],
    ['any/x/y/z/deep.txt'],
    // Not usr/bin/linked: what is below is not looked at.
    ['bin/linked'],
  ]);
});

test('ADD drops the bits by which a program of an archive runs as its owner, and tells of it', async () => {
  const folder = await testFolder();
  const archive = await tarOf([
    directoryEntry('shared', { mode: 0o2775 }),
    fileEntry('shared/su', 'x', { mode: 0o4755 }),
    fileEntry('shared/wall', 'x', { mode: 0o2755 }),
    fileEntry('tool', 'x', { mode: 0o755 }),
  ]);
  const image = await make(folder, {
    files: { Dockerfile: 'FROM scratch\nADD a.tar /\nCOPY --chmod=4755 meant /\n', meant: 'x' },
    prepare: (context) => writeFileSync(join(context, 'a.tar'), archive),
  });
  expect((await layersOf(image.layout)).flat()).toEqual([
    'shared/su rwxr-xr-x 0/0 x',
    'shared/wall rwxr-xr-x 0/0 x',
    'tool rwxr-xr-x 0/0 x',
    'meant rwsr-xr-x 0/0 x',
  ]);
  expect(image.warnings).toMatchObject([
    { line: 2, message: expect.stringMatching(/^shared\/su and 1 more of a.tar would run as the owner/) },
  ]);
});

test('ADD takes files from elsewhere by their sum, and gives archives the owner that is asked for', async () => {
  const content = 'from elsewhere';
  let asked = 0;
  const host = await listenLocally(
    createServer((_, response) => {
      asked += 1;
      response.end(content);
    }),
  );
  const add = `ADD --checksum=${digestOf(content)} http://${host}/some/file.txt /got/`;
  const folder = await testFolder();
  const given: Case = {
    files: { Dockerfile: `FROM scratch\n${add}\nADD --chown=7:8 a.tar /a/\nADD --unpack=false a.tar /kept/\n`, x: 'x' },
    prepare: (context) =>
      execFileSync('tar', ['-cf', join(context, 'a.tar'), '--mtime=@0', '--owner=5', '--group=5', '-C', context, 'x']),
  };
  const image = await make(folder, given);
  const files = (await layersOf(image.layout)).flat();
  expect(files.slice(0, 2)).toEqual([`got/file.txt rw------- 0/0 ${content}`, 'a/x rw-r--r-- 7/8 x']);
  expect(files[2]).toContain('kept/a.tar');
  expect((await make(folder, given)).digest).toBe(image.digest);
  expect(asked).toBe(1);
  const wrong = `FROM scratch\nADD --checksum=${digestOf('x')} http://${host}/f /\n`;
  await expect(make(folder, { files: { Dockerfile: wrong } })).rejects.toMatchObject({
    code: 'dockerfile/remote-source',
  });
  const unheard = wrong.replace(host, 'no-such-host.invalid');
  await expect(make(folder, { files: { Dockerfile: unheard } })).rejects.toThrow(
    /can't be had: .*(ENOTFOUND|EAI_AGAIN)/,
  );
});

test('SHELL counts for what comes behind it, EXPOSE takes ranges, ENV beats ARG, ONBUILD is for images on it', async () => {
  const folder = await testFolder();
  const parent = await make(folder, {
    files: {
      Dockerfile:
        'FROM scratch\nARG A=arg\nENV A=env\nARG A=again\nLABEL a=$A\nEXPOSE 8000-8002\nSHELL ["/bin/bash", "-ec"]\nCMD x y\nONBUILD COPY $WHAT /got/\nONBUILD ENV DONE=1\nENV WHAT=one\n',
      one: '1',
    },
  });
  const { configuration } = await readImageLayout(parent.layout);
  expect(configuration.config).toMatchObject({
    Labels: { a: 'env' },
    ExposedPorts: { '8000/tcp': {}, '8001/tcp': {}, '8002/tcp': {} },
    Cmd: ['/bin/bash', '-ec', 'x y'],
    OnBuild: ['COPY $WHAT /got/', 'ENV DONE=1'],
  });
  const child = await make(
    folder,
    { files: { Dockerfile: 'FROM :parent\nENV AFTER=$DONE\n', one: '1' } },
    { imageOf: () => parent.layout, output: join(folder, 'child.oci') },
  );
  const { config } = (await readImageLayout(child.layout)).configuration;
  expect(config.Env).toEqual(expect.arrayContaining(['DONE=1', 'AFTER=1']));
  expect(config).not.toHaveProperty('OnBuild');
  expect((await layersOf(child.layout)).flat()).toEqual(['got/one rw-r--r-- 0/0 1']);
});

test('WORKDIR makes a folder for the USER, and only where there is none', async () => {
  const folder = await testFolder();
  const base = await makeBase(folder);
  const image = await make(
    folder,
    { files: { Dockerfile: `FROM ${baseLabel}\nWORKDIR /srv/data\nUSER app\nWORKDIR own/sub\n` } },
    { imageOf: () => base },
  );
  const { layers, configuration } = await readImageLayout(image.layout);
  const below = (await readImageLayout(base)).layers.length;
  expect(layers.length).toBe(below + 1);
  const listed = execFileSync('tar', ['--numeric-owner', '-tvf', layoutBlob(image.layout, layers.at(-1)!.digest)], {
    encoding: 'utf8',
  });
  expect(listed).toMatch(/drwxr-xr-x 1000\/1000 .* srv\/data\/own\/\n.*1000\/1000 .*srv\/data\/own\/sub\/\n/);
  expect(configuration.config.WorkingDir).toBe('/srv/data/own/sub');
  const history = configuration.history.slice(-3);
  expect(history.map(({ created_by, empty_layer }) => [created_by, empty_layer])).toEqual([
    ['WORKDIR /srv/data', true],
    ['USER app', true],
    ['WORKDIR own/sub', undefined],
  ]);
});

test('files that a layer of the base takes away are gone, and names of one file stay one', async () => {
  const folder = await testFolder();
  const store = await openBlobStore(join(folder, 'blobs'));
  const file = fileEntry('data/kept', 'k');
  const lower = await tarOf([
    directoryEntry('data'),
    fileEntry('data/gone', 'g'),
    file,
    { ...fileEntry('data/same', ''), type: 'hardlink', target: 'data/kept' },
    directoryEntry('opaque'),
    fileEntry('opaque/old', 'o'),
  ]);
  const upper = await tarOf([
    directoryEntry('data'),
    fileEntry('data/.wh.gone', ''),
    directoryEntry('opaque'),
    fileEntry('opaque/.wh..wh..opq', ''),
    fileEntry('opaque/new', 'n'),
  ]);
  const layers = [];
  for (const bytes of [lower, upper]) layers.push({ mediaType: mediaTypes.layer, ...(await store.put(bytes)) });
  const architecture = machineArchitecture();
  const configuration = canonicalJson({
    architecture,
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  });
  const { layout } = await storeImage({ store, output: join(folder, 'base.oci'), architecture, configuration, layers });
  const image = await make(
    folder,
    { files: { Dockerfile: 'FROM scratch\nCOPY --from=:base / /copy/\n' } },
    { imageOf: () => layout },
  );
  expect((await layersOf(image.layout)).flat()).toEqual([
    'copy/data/kept rw-r--r-- 0/0 k',
    expect.stringMatching(/^copy\/data\/same rw-r--r-- 0\/0 link to copy\/data\/kept$/),
    'copy/opaque/new rw-r--r-- 0/0 n',
  ]);
});

test('a target stage is built without what it does not need, and arguments nobody takes are told of', async () => {
  const image = await make(await testFolder(), {
    files: {
      Dockerfile:
        "FROM scratch AS wanted\nARG VERSION\nLABEL v=$VERSION$UNSET\nENV API_TOKEN=x\nCMD ['a']\nENTRYPOINT [ -x /a ] && /a\nFROM debian\nRUN false\n",
    },
    args: { VERSION: '1', VERSIN: '2', HTTP_PROXY: 'x' },
    target: 'Wanted',
  });
  expect(image.warnings.map(({ file, line, message }) => [file, line, message])).toEqual([
    ['bank/Dockerfile', 1, 'no ARG takes the build argument VERSIN; did you mean VERSION?'],
    ['bank/Dockerfile', 3, '$UNSET is not set here, and stands for nothing'],
    ['bank/Dockerfile', 4, expect.stringContaining('looks like a secret')],
    ['bank/Dockerfile', 5, 'CMD is given to a shell: as a list it would need the form of JSON, ["a", "b"]'],
  ]);
});

describe('folders of the context', () => {
  test('come with what is in them: links as links, empty folders too', async () => {
    const folder = await testFolder();
    const tree = join(folder, 'made');
    mkdirSync(join(tree, 'empty'), { recursive: true });
    writeFileSync(join(tree, 'x'), 'x', { mode: 0o755 });
    symlinkSync('x', join(tree, 'link'));
    symlinkSync('/usr/bin', join(tree, 'away'));
    const context = [
      { path: 'dir', absolute: tree, kind: 'folder', sha256: '0'.repeat(64), executable: false },
    ] as const;
    const image = await make(
      folder,
      { files: { Dockerfile: 'FROM scratch\nCOPY dir /d/\nCOPY dir/link /followed\n' } },
      { context },
    );
    expect((await layersOf(image.layout)).flat()).toEqual([
      'd/away rwxrwxrwx 0/0 -> /usr/bin',
      'd/link rwxrwxrwx 0/0 -> x',
      'd/x rwxr-xr-x 0/0 x',
      'followed rwxr-xr-x 0/0 x',
    ]);
  });
});
