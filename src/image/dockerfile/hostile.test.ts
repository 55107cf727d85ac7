import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { isFault } from '../../fault/index.ts';
import { digestOf } from '../digest.ts';
import { layoutBlob } from '../layout.ts';
import { mediaTypes } from '../manifest.ts';
import { machineArchitecture } from '../platform.ts';
import { openBlobStore } from '../store.ts';
import { checksum } from '../tar/header.ts';
import { directoryEntry, fileEntry, type LayerEntry, symlinkEntry } from '../tar/write.ts';
import { tarOf } from '../testing/deb.ts';
import { testFolder } from '../testing/folder.ts';
import { baseLabel, type Case, make, makeBase } from './testing/case.ts';

/** The fault, and a check that nothing of the try is left. */
async function refused(given: Case, more: Parameters<typeof make>[2] = {}) {
  const folder = await testFolder();
  const base = given.files.Dockerfile?.includes(baseLabel) ? await makeBase(folder) : undefined;
  await openBlobStore(join(folder, 'blobs'));
  const before = readdirSync(join(folder, 'blobs/sha256'));
  const error = await make(folder, given, {
    imageOf: (label) => (label === baseLabel ? base : undefined),
    ...more,
  }).then(
    () => undefined,
    (fault: unknown) => fault,
  );
  if (!isFault(error)) throw error ?? new Error('it was made');
  expect(existsSync(join(folder, 'image.oci'))).toBe(false);
  expect(readdirSync(join(folder, 'blobs/tmp'))).toEqual([]);
  return { error, added: readdirSync(join(folder, 'blobs/sha256')).filter((name) => !before.includes(name)) };
}

describe('what is wrong, and where', () => {
  test.each<[string, string, number, number, RegExp]>([
    ['FROM scratch\nCOPY nothing /', 'dockerfile/missing-source', 2, 6, /"nothing" is not in the context/],
    ['FROM scratch\nCOPY a \\\n  nothing /', 'dockerfile/missing-source', 3, 3, /nothing/],
    ['FROM scratch\nCOPY ../../etc/passwd /', 'dockerfile/outside-context', 2, 6, /leads out of the context/],
    ['FROM scratch\nCOPY x/../../a /', 'dockerfile/outside-context', 2, 6, /leads out/],
    ['FROM scratch\nCOPY --parents ../a /', 'dockerfile/outside-context', 2, 16, /leads out/],
    [
      'FROM scratch AS one\nFROM scratch\nCOPY --from=one /../../a /',
      'dockerfile/outside-context',
      3,
      17,
      /leads out of stage one/,
    ],
    ['FROM scratch\nCOPY a b /file', 'dockerfile/bad-destination', 2, 10, /several files can't all become \/file/],
    ['FROM scratch\nCOPY a /x\nCOPY b /x/y', 'dockerfile/bad-destination', 3, 6, /\/x is not a folder/],
    [
      'FROM scratch\nCOPY dir /x/\nCOPY a /y/\nCOPY flat /x/',
      'dockerfile/bad-destination',
      4,
      6,
      /in place of the folder/,
    ],
    [`FROM ${baseLabel}\nCOPY rootfs /`, 'dockerfile/bad-destination', 2, 6, /which is a link to usr\/bin/],
    ['FROM scratch\nCOPY --chown=app a /', 'dockerfile/unknown-user', 2, 14, /the image has no \/etc\/passwd/],
    [`FROM ${baseLabel}\nCOPY --chown=app:nobodies a /`, 'dockerfile/unknown-user', 2, 14, /no group "nobodies"/],
    [`FROM ${baseLabel}\nCOPY --chown=eve a /`, 'dockerfile/unknown-user', 2, 14, /no user "eve"/],
    [`FROM ${baseLabel}\nCOPY --chown=1:2:3 a /`, 'dockerfile/unknown-user', 2, 14, /is no owner/],
    ['FROM scratch\nUSER app\nWORKDIR /x', 'dockerfile/unknown-user', 3, 1, /no \/etc\/passwd/],
    ['FROM scratch\nCOPY --chmod=999 a /', 'dockerfile/bad-value', 2, 14, /"999" is no mode/],
    ['FROM scratch\nCOPY --exclude=[ a /', 'dockerfile/bad-value', 2, 16, /is not a pattern/],
    ['FROM scratch\nARG S=x\nCOPY --from=$S a /', 'dockerfile/bad-value', 3, 13, /takes no variables/],
    ['FROM scratch\nCOPY --from=0 a /', 'dockerfile/unknown-stage', 2, 13, /no stage 0/],
    [
      'FROM scratch AS first\nCOPY --from=later a /\nFROM scratch AS later\nFROM first',
      'dockerfile/unknown-stage',
      2,
      13,
      /no stage later/,
    ],
    ['FROM scratch\nCOPY http://x.example/a /', 'dockerfile/remote-source', 2, 6, /COPY can't fetch/],
    ['FROM scratch\nADD https://x.example/a /', 'dockerfile/remote-source', 2, 5, /names no sum/],
    ['FROM scratch\nADD git@github.com:a/b.git /', 'dockerfile/remote-source', 2, 5, /only files over http/],
    ['FROM scratch\nADD --checksum=md5:1 https://x.example/a /', 'dockerfile/bad-value', 2, 16, /is not a sum/],
    ['FROM scratch\nRUN --network=none go build ./...', 'dockerfile/run-refused', 2, 1, /RUN is not carried out/],
    ['FROM //not:declared', 'dockerfile/undeclared-image', 1, 6, /is not declared/],
    ['ARG B\nFROM $B', 'dockerfile/bad-value', 2, 6, /names nothing/],
    ['FROM --platform=windows/amd64 scratch', 'dockerfile/bad-value', 1, 17, /no platform/],
    ['FROM scratch\nEXPOSE 99999', 'dockerfile/bad-value', 2, 8, /is not a port/],
    ['FROM scratch\nSTOPSIGNAL SIGNOTHING', 'dockerfile/bad-value', 2, 12, /is not a signal/],
    ['FROM scratch\nUSER $NOBODY', 'dockerfile/bad-value', 2, 6, /is empty/],
    ['FROM scratch\nUSER app\nCMD ["/x"]', 'dockerfile/unknown-user', 2, 6, /no \/etc\/passwd/],
    [`FROM ${baseLabel} AS b\nUSER app:eve\nFROM b\nCMD ["/x"]`, 'dockerfile/unknown-user', 2, 6, /no group "eve"/],
    ['FROM scratch\nENV a=1 b=${a', 'dockerfile/bad-substitution', 2, 11, /missing/],
    ['FROM scratch\nCOPY wh /', 'dockerfile/bad-source', 2, 6, /layers use to remove files/],
  ])('%j', async (Dockerfile, code, line, column, message) => {
    const files = {
      Dockerfile,
      a: 'a',
      b: 'b',
      'dir/sub/x': 'x',
      'rootfs/bin/x': 'x',
      'wh/.wh.etc': '',
      'flat/sub': 's',
    };
    const { error, added } = await refused({ files });
    expect([error.code, error.place?.line, error.place?.column, error.message]).toEqual([
      code,
      line,
      column,
      expect.stringMatching(message),
    ]);
    expect(error.place?.file).toBe('bank/Dockerfile');
    // Layers of instructions before it may have been kept: they are what they are called.
    expect(added.length).toBeLessThanOrEqual(3);
  });

  test('RUN says what to do in its place', async () => {
    const advice = async (command: string) =>
      (await refused({ files: { Dockerfile: `FROM scratch\nRUN ${command}\n` } })).error.next;
    expect(await advice('apt-get update && apt-get install -y curl')).toContain('debian_packages');
    expect(await advice('go build -o /app ./cmd')).toContain('go_binary');
    expect(await advice('mvn package')).toContain('java_binary');
    expect(await advice('pip install -r requirements.txt')).toContain('python_binary');
    expect(await advice('useradd -r app')).toContain('users');
    expect(await advice('chown -R app /srv')).toContain('--chown');
    expect(await advice('./configure.sh')).toContain('genrule');
  });

  test('every RUN that counts is told of at once', async () => {
    const unused = 'FROM scratch AS unused\nRUN never\n';
    const Dockerfile = `${unused}FROM scratch AS made\nRUN go build\nFROM made\nRUN chmod 1 /a\nRUN x\n`;
    const { error } = await refused({ files: { Dockerfile } });
    expect([error, ...error.others].map(({ place, next }) => [place?.line, next?.slice(0, 20)])).toEqual([
      [4, 'build the program wi'],
      [6, 'use COPY --chown and'],
      [7, 'do it in a genrule, '],
    ]);
    const many = await refused({ files: { Dockerfile: `FROM scratch\n${'RUN x\n'.repeat(25)}` } });
    expect([many.error.others.length, many.error.notes.at(-1)]).toEqual([19, 'and 5 more']);
  });
});

test('links of the context that lead out of it', async () => {
  const folder = await testFolder();
  const tree = join(folder, 'made');
  mkdirSync(tree);
  symlinkSync('/etc/passwd', join(tree, 'absolute'));
  symlinkSync('../../../../../../etc/passwd', join(tree, 'relative'));
  symlinkSync('circle', join(tree, 'circle'));
  const context = [{ path: 'd', absolute: tree, kind: 'folder', sha256: '0'.repeat(64), executable: false }] as const;
  const codes = [];
  for (const name of ['absolute', 'relative', 'circle']) {
    const { error } = await refused({ files: { Dockerfile: `FROM scratch\nCOPY d/${name} /\n` } }, { context });
    codes.push(error.code);
  }
  expect(codes).toEqual(['dockerfile/outside-context', 'dockerfile/outside-context', 'dockerfile/bad-source']);
});

test('a pipe in the context is refused and not read', async () => {
  const folder = await testFolder();
  mkdirSync(join(folder, 'made'));
  execFileSync('mkfifo', [join(folder, 'made/pipe')]);
  const context = [
    { path: 'd', absolute: join(folder, 'made'), kind: 'folder', sha256: '0'.repeat(64), executable: false },
  ] as const;
  const { error } = await refused({ files: { Dockerfile: 'FROM scratch\nCOPY d /\n' } }, { context });
  expect(error.code).toBe('dockerfile/bad-source');
});

test('a link of the base image leads no file out of the image', async () => {
  const folder = await testFolder();
  const evil = await make(folder, {
    files: { Dockerfile: 'FROM scratch\nADD evil.tar /\n' },
    prepare: (context) => {
      const tree = join(context, 'tree');
      mkdirSync(tree);
      symlinkSync('/../../../../tmp', join(tree, 'out'));
      execFileSync('tar', ['-cf', join(context, 'evil.tar'), '-C', tree, 'out']);
      rmSync(tree, { recursive: true });
    },
  });
  const image = await make(
    folder,
    { files: { Dockerfile: 'FROM :evil\nCOPY x /out/inside\n', x: 'x' } },
    { imageOf: () => evil.layout, output: join(folder, 'next.oci') },
  );
  expect(image.layers).toHaveLength(2);
  expect(existsSync('/tmp/inside')).toBe(false);
});

/** A device or pipe, which the writer here can't write. */
function special(bytes: Buffer, flag: string): Buffer {
  const out = Buffer.from(bytes);
  out.write(flag, 156, 'latin1');
  out.write(`${checksum(out.subarray(0, 512)).toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
  return out;
}

describe('archives that ADD refuses, and of which nothing is left', () => {
  const hardlink = (path: string, target: string): LayerEntry => ({ ...fileEntry(path, ''), type: 'hardlink', target });
  const cases: [string, () => Promise<Buffer>][] = [
    ['a path that climbs out', () => tarOf([fileEntry('../../etc/passwd', 'x')])],
    ['a path that climbs out further in', () => tarOf([fileEntry('a/../../x', 'x')])],
    ['an absolute path', () => tarOf([fileEntry('/etc/passwd', 'x')])],
    ['a link that climbs out', () => tarOf([symlinkEntry('a/link', '../../x')])],
    ['a file below a link', () => tarOf([symlinkEntry('a', '/etc'), fileEntry('a/passwd', 'x')])],
    ['a hard link to a file of somebody else', () => tarOf([hardlink('a', 'etc/passwd')])],
    ['one path twice', () => tarOf([fileEntry('a', '1'), fileEntry('a', '2')])],
    ['a device', async () => special(await tarOf([fileEntry('dev/sda', '')]), '4')],
    ['a pipe', async () => special(await tarOf([fileEntry('pipe', '')]), '6')],
    ['a name that removes files', () => tarOf([directoryEntry('etc'), fileEntry('etc/.wh.passwd', '')])],
    ['an archive that is cut off', async () => (await tarOf([fileEntry('a', 'x'.repeat(5000))])).subarray(0, 2048)],
    [
      'a compressed one that is cut off',
      async () => gzipSync(await tarOf([fileEntry('a', 'x'.repeat(50_000))])).subarray(0, -8),
    ],
  ];
  test.each(cases)('%s', async (_, archive) => {
    const bytes = await archive();
    for (const name of ['a.tar', 'a.tar.gz']) {
      const packed = name.endsWith('gz') && bytes[0] !== 0x1f ? gzipSync(bytes) : bytes;
      const { error, added } = await refused({
        files: { Dockerfile: `FROM scratch\nADD ${name} /\n` },
        prepare: (context) => writeFileSync(join(context, name), packed),
      });
      expect(error.code).toMatch(/^dockerfile\/(bad-archive|bad-source)$/);
      expect(error.place).toMatchObject({ line: 2, column: 5 });
      expect(added.filter((each) => !each.startsWith('x')).length).toBeLessThanOrEqual(
        error.code === 'dockerfile/bad-source' ? 1 : 0,
      );
    }
  });

  test('one that unpacks to a thousand times its size', async () => {
    const header = (
      await tarOf([{ ...fileEntry('zeros', ''), size: 250 * 1024 ** 2, content: Buffer.alloc(0) }])
    ).subarray(0, 512);
    const { error, added } = await refused({
      files: { Dockerfile: 'FROM scratch\nADD bomb.tar.gz /\n' },
      prepare: (context) => {
        writeFileSync(join(context, 'header'), header);
        execFileSync(
          'sh',
          ['-c', '(cat header; head -c 250M /dev/zero; head -c 1024 /dev/zero) | gzip -9 > bomb.tar.gz && rm header'],
          {
            cwd: context,
          },
        );
      },
    });
    expect(error).toMatchObject({ code: 'dockerfile/bad-archive', place: { line: 2 } });
    expect(error.message).toContain('unpacks to more than');
    expect(added).toEqual([]);
  });
});

test('a layer of a base that unpacks without end is refused before the disk is full', async () => {
  const folder = await testFolder();
  const base = join(folder, 'bomb.oci');
  mkdirSync(join(base, 'blobs/sha256'), { recursive: true });
  const put = (mediaType: string, bytes: Buffer) => {
    const digest = digestOf(bytes);
    writeFileSync(layoutBlob(base, digest), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  // 100 MB of zeros in 100 kB: a thousand times.
  const layer = put(mediaTypes.layerGzip, gzipSync(Buffer.alloc(100 * 1024 ** 2)));
  const configuration = {
    architecture: machineArchitecture(),
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [`sha256:${'0'.repeat(64)}`] },
  };
  const config = put(mediaTypes.config, Buffer.from(JSON.stringify(configuration)));
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [layer] };
  const manifests = [put(mediaTypes.manifest, Buffer.from(JSON.stringify(manifest)))];
  writeFileSync(join(base, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(base, 'index.json'), JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }));
  const { error, added } = await refused(
    { files: { Dockerfile: 'FROM //bomb\nCOPY a /b/\n', a: 'a' } },
    { imageOf: () => base },
  );
  expect(error).toMatchObject({ code: 'image/too-large', message: expect.stringContaining('unpacks to more than') });
  // The layer as it came; not what it unpacks to.
  expect(added).toEqual([layer.digest.slice('sha256:'.length)]);
});
