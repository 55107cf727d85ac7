import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Progress, silent } from '../../progress/index.ts';
import { fileEntry } from '../tar/write.ts';
import { type DebDescription, debOf } from '../testing/deb.ts';
import { testFolder } from '../testing/folder.ts';
import { fetchPackages, makeDebianPackageLayer } from './fetch.ts';
import { lockDebian, refreshGone } from './lock.ts';
import { type DebianLock, formatDebianLock, parseDebianLock } from './lockfile.ts';
import type { DebianSource } from './sources.ts';

const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');

/** A mirror in a folder, with the suite bookworm, and a system that has it as its only Debian source. The real apt reads it. */
interface Mirror {
  readonly source: DebianSource;
  /** Replaces all that it offers; further suites of the release by the ends of their names. */
  publish(
    packages: readonly DebDescription[],
    more?: Readonly<Record<string, readonly DebDescription[]>>,
  ): Promise<void>;
}

async function mirror(): Promise<Mirror> {
  const folder = await testFolder();
  const root = join(folder, 'system');
  const debian = join(folder, 'debian');
  await mkdir(join(root, 'etc/apt'), { recursive: true });
  await writeFile(
    join(root, 'etc/apt/sources.list'),
    ['', '-updates', '-security'].map((end) => `deb [trusted=yes] file:${debian} bookworm${end} main\n`).join(''),
  );
  return {
    source: { suite: 'bookworm', architecture: 'amd64', root },
    async publish(packages, more = {}) {
      await rm(debian, { recursive: true, force: true });
      await mkdir(join(debian, 'pool'), { recursive: true });
      await publishSuite('bookworm', packages);
      for (const end of ['-updates', '-security']) await publishSuite(`bookworm${end}`, more[end] ?? []);
    },
  };

  async function publishSuite(suite: string, packages: readonly DebDescription[]): Promise<void> {
    const index = join(debian, 'dists', suite, 'main/binary-amd64');
    await mkdir(index, { recursive: true });
    const paragraphs: string[] = [];
    for (const each of packages) {
      const deb = await debOf(each);
      const { name, version = '1.0', fields = [] } = each;
      const path = `pool/${name}_${version.replace(':', '%3a')}_amd64.deb`;
      await writeFile(join(debian, path), deb);
      paragraphs.push(
        [
          `Package: ${name}`,
          `Version: ${version}`,
          'Architecture: amd64',
          ...fields,
          `Filename: ${path}`,
          `Size: ${deb.length}`,
          `SHA256: ${sha256(deb)}`,
          'Description: for a test',
          '',
        ].join('\n'),
      );
    }
    const text = paragraphs.join('\n');
    await writeFile(join(index, 'Packages'), text);
    const release = [
      'Suite: stable',
      `Codename: ${suite}`,
      'Architectures: amd64',
      'Components: main',
      `Date: ${new Date().toUTCString()}`,
      'SHA256:',
      ` ${sha256(text)} ${Buffer.byteLength(text)} main/binary-amd64/Packages`,
      '',
    ];
    await writeFile(join(debian, 'dists', suite, 'Release'), release.join('\n'));
  }
}

/** Keeps the names of what begins. */
function listening(): { begun: string[]; progress: Progress } {
  const begun: string[] = [];
  const begin = (name: string) => {
    begun.push(name);
    return silent.begin(name);
  };
  return { begun, progress: { ...silent, begin } };
}

let formerCache: string | undefined;
let cache = '';
beforeEach(async () => {
  formerCache = process.env.BANKSMAN_CACHE;
  cache = await testFolder();
  process.env.BANKSMAN_CACHE = cache;
});
afterEach(() => {
  if (formerCache === undefined) delete process.env.BANKSMAN_CACHE;
  else process.env.BANKSMAN_CACHE = formerCache;
});

const packages: readonly DebDescription[] = [
  {
    name: 'app',
    fields: ['Depends: libx (>= 1), editor | other, default-mail, libjit, script:any'],
    entries: [fileEntry('usr/bin/app', 'app', { mode: 0o755 })],
  },
  { name: 'libx', version: '1:2.0-1', fields: ['Pre-Depends: base', 'Recommends: extra'] },
  { name: 'base' },
  { name: 'extra' },
  { name: 'other' },
  { name: 'postfix', fields: ['Provides: mail-transport-agent, default-mail'] },
  { name: 'libjit', fields: ['Depends: libllvm, base'] },
  { name: 'libllvm' },
  { name: 'script', fields: ['Multi-Arch: allowed'] },
];

const request = (source: DebianSource, more: object = {}) => ({ source, packages: ['app'], progress: silent, ...more });

const requests = (lock: DebianLock) => Object.entries(lock.packages).map(([name, locked]) => ({ name, ...locked }));

describe('locking', () => {
  test('the closure by Depends and Pre-Depends, alternatives and virtual packages by what was chosen', async () => {
    const { source, publish } = await mirror();
    await publish(packages);
    const lock = await lockDebian(request(source));
    expect(Object.fromEntries(Object.entries(lock.packages).map(([name, { depends }]) => [name, depends]))).toEqual({
      app: ['libjit', 'libx', 'other', 'postfix', 'script'],
      base: [],
      libjit: ['base', 'libllvm'],
      libllvm: [],
      libx: ['base'],
      other: [],
      postfix: [],
      script: [],
    });
    expect(lock.packages.libx).toMatchObject({
      version: '1:2.0-1',
      architecture: 'amd64',
      sha256: sha256(await debOf(packages[1]!)),
    });
    expect(parseDebianLock(formatDebianLock(lock), 'debian.lock.json')).toEqual(lock);
    expect(formatDebianLock(await lockDebian(request(source)))).toBe(formatDebianLock(lock));
  });

  test('of a release, its updates and its security updates the newest version counts, epochs first', async () => {
    const { source, publish } = await mirror();
    const version = (name: string, text: string): DebDescription => ({ name, version: text });
    await publish([version('app', '1.0-1'), version('libx', '9.0-1'), version('base', '1.0-1')], {
      '-updates': [version('base', '1.0-1+deb12u1')],
      '-security': [version('app', '1.0-1+deb12u2'), version('libx', '1:0.5-1'), version('base', '1.0-1~deb12u9')],
    });
    const lock = await lockDebian(request(source, { packages: ['app', 'libx', 'base'] }));
    expect(Object.values(lock.packages).map((each) => each.version)).toEqual([
      '1.0-1+deb12u2',
      '1.0-1+deb12u1',
      '1:0.5-1',
    ]);
    // They are all had, whichever suite they come from.
    const paths = await fetchPackages({ source, packages: requests(lock), progress: silent });
    for (const path of paths.values()) await access(path);
  });

  test('what is excluded is left out with all that only it needs', async () => {
    const { source, publish } = await mirror();
    await publish(packages);
    const said: string[] = [];
    const progress: Progress = { ...silent, say: (line) => said.push(line) };
    const lock = await lockDebian(request(source, { exclude: ['libjit', 'nonsense'], progress }));
    expect(Object.keys(lock.packages)).toEqual(['app', 'base', 'libx', 'other', 'postfix', 'script']);
    expect(lock.packages.app?.depends).not.toContain('libjit');
    expect(said).toEqual([expect.stringContaining('nonsense')]);
    await expect(lockDebian(request(source, { exclude: ['app'] }))).rejects.toMatchObject({
      code: 'image/package-unresolved',
    });
  });

  test.each([
    [['nonsense'], 'image/package-unknown'],
    [['default-mail'], 'image/package-unknown'],
    [['--option'], 'image/package-unknown'],
    [['broken'], 'image/package-unresolved'],
  ])('%j is an error that says so', async (wanted, code) => {
    const { source, publish } = await mirror();
    await publish([...packages, { name: 'broken', fields: ['Depends: libx (>= 9:0)'] }]);
    await expect(lockDebian(request(source, { packages: wanted }))).rejects.toMatchObject({ code });
  });

  test('a mirror that is not there', async () => {
    const { source } = await mirror();
    await expect(lockDebian(request(source))).rejects.toMatchObject({
      code: 'image/package-client',
      notes: [expect.stringContaining('bookworm')],
    });
  });
});

describe('fetching', () => {
  test('all missing packages come at once, and from then on need no mirror', async () => {
    const { source, publish } = await mirror();
    await publish(packages);
    const lock = await lockDebian(request(source));
    const { begun, progress } = listening();
    const paths = await fetchPackages({ source, packages: requests(lock), progress });
    expect(begun).toEqual(['Debian bookworm: 8 packages']);
    expect(sha256(await readFile(paths.get('libx') ?? ''))).toBe(lock.packages.libx?.sha256);
    await publish([]);
    await fetchPackages({ source, packages: requests(lock), progress });
    expect(begun).toHaveLength(1);
    expect((await readdir(join(cache, 'debian'))).filter((name) => !name.endsWith('.deb'))).toEqual([]);
  });

  test('processes that want the same at the same time fetch it once', async () => {
    const { source, publish } = await mirror();
    await publish(packages);
    const lock = await lockDebian(request(source));
    const { begun, progress } = listening();
    await Promise.all(Array.from({ length: 5 }, () => fetchPackages({ source, packages: requests(lock), progress })));
    expect(begun).toHaveLength(1);
  });

  test('a version that is gone is named, with the new one and the command', async () => {
    const { source, publish } = await mirror();
    await publish(packages);
    const lock = await lockDebian(request(source));
    await publish(packages.map((each) => (each.name === 'libx' ? { ...each, version: '1:2.0-2' } : each)));
    const place = { file: 'third_party/debian/BUILD', line: 3 };
    await expect(fetchPackages({ source, packages: requests(lock), place, progress: silent })).rejects.toMatchObject({
      code: 'image/package-gone',
      message: expect.stringContaining('libx 1:2.0-1'),
      notes: ['libx: locked 1:2.0-1, offered 1:2.0-2'],
      next: 'run: banksman lock debian',
      place,
    });
  });

  test('a version with other bytes than were locked is refused', async () => {
    const { source, publish } = await mirror();
    await publish(packages);
    const lock = await lockDebian(request(source));
    await publish(
      packages.map((each) => (each.name === 'app' ? { ...each, entries: [fileEntry('usr/bin/app', 'evil')] } : each)),
    );
    await rm(join(cache, 'apt'), { recursive: true });
    await expect(fetchPackages({ source, packages: requests(lock), progress: silent })).rejects.toMatchObject({
      code: 'image/wrong-content',
    });
    await expect(access(join(cache, 'debian', `${lock.packages.app?.sha256}.deb`))).rejects.toThrow();
  });

  test('a layer is made of the package, and a damaged file in the cache is noticed', async () => {
    const { source, publish } = await mirror();
    await publish(packages);
    const lock = await lockDebian(request(source));
    const app = requests(lock).find(({ name }) => name === 'app')!;
    const output = join(await testFolder(), 'app.tar');
    const layer = await makeDebianPackageLayer({ source, package: app, output, progress: silent });
    expect(layer.createdBy).toBe('debian app 1.0');
    expect(layer.digest).toBe(`sha256:${sha256(await readFile(output))}`);
    expect(execFileSync('tar', ['-xOf', output, 'usr/bin/app'], { encoding: 'utf8' })).toBe('app');
    const cached = join(cache, 'debian', `${app.sha256}.deb`);
    const bytes = await readFile(cached);
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
    await chmod(cached, 0o644);
    await writeFile(cached, bytes);
    await expect(makeDebianPackageLayer({ source, package: app, output, progress: silent })).rejects.toMatchObject({
      code: 'image/wrong-content',
    });
  });
});

test('a suite that the mirror does not have is told of as such', async () => {
  const { source, publish } = await mirror();
  await publish(packages);
  await expect(lockDebian(request({ ...source, suite: 'bookwurm' }))).rejects.toMatchObject({
    code: 'image/package-client',
    next: expect.stringContaining('look whether the suite is one that the mirror has'),
  });
});

describe('when a locked version is gone', () => {
  test('the lock is made anew; while it can be had, in the cache or from the mirror, it stays', async () => {
    const { source, publish } = await mirror();
    await publish(packages);
    const lock = await lockDebian(request(source));
    expect(await refreshGone({ source, lock, progress: silent })).toEqual({ lock, changed: [] });
    const newer = packages.map((each) =>
      each.name === 'libx' ? { ...each, version: '1:2.0-2', fields: ['Pre-Depends: extra'] } : each,
    );
    await publish(newer);
    await rm(join(cache, 'apt'), { recursive: true });
    const refreshed = await refreshGone({ source, lock, progress: silent });
    expect(refreshed.changed).toEqual([
      { name: 'extra', to: '1.0' },
      { name: 'libx', from: '1:2.0-1', to: '1:2.0-2' },
    ]);
    expect(refreshed.lock.packages.libx?.version).toBe('1:2.0-2');
    await fetchPackages({ source, packages: requests(refreshed.lock), progress: silent });
    await publish([]);
    await rm(join(cache, 'apt'), { recursive: true });
    // Everything is in the cache: the empty mirror is not even asked.
    expect((await refreshGone({ source, lock: refreshed.lock, progress: silent })).changed).toEqual([]);
  });

  test('without a network the lock stays, and that is told', async () => {
    const { source, publish } = await mirror();
    await publish(packages);
    const lock = await lockDebian(request(source));
    const said: string[] = [];
    const away = (await mirror()).source;
    const refreshed = await refreshGone({
      source: away,
      lock,
      progress: { ...silent, say: (line) => said.push(line) },
    });
    expect(refreshed).toEqual({ lock, changed: [] });
    expect(said).toEqual([expect.stringMatching(/can't be brought up to date.*8 .*amd64.*not known/)]);
  });
});

test.each([
  ['{', 'is not JSON'],
  ['[]', 'object'],
  ['{"format":2}', 'format 2'],
  ['{"format":1,"suite":"b","architecture":"amd64","requested":[],"exclude":[],"packages":{"../x":{}}}', 'name "../x"'],
  ['{"format":1,"suite":"b","architecture":"amd64","requested":["a"],"exclude":[],"packages":{}}', 'no package a'],
  [
    '{"format":1,"suite":"b","architecture":"amd64","requested":[],"exclude":[],"packages":{"aa":{"version":"1","architecture":"all","sha256":"x","size":1,"depends":[]}}}',
    'sha256 of aa',
  ],
])('the lock %s is refused', (text, message) => {
  expect(() => parseDebianLock(text, 'debian.lock.json')).toThrow(
    expect.objectContaining({ code: 'image/bad-lock', message: expect.stringContaining(message) }),
  );
});

test.each([
  ['debian.lock.json', 'amd64'],
  ['debian.lock.arm64.json', 'arm64'],
])("this repository's own lock %s can be read and is complete", async (name, architecture) => {
  const path = new URL(`../../../third_party/debian/${name}`, import.meta.url);
  const lock = parseDebianLock(await readFile(path, 'utf8'), `third_party/debian/${name}`);
  expect(lock.architecture).toBe(architecture);
  expect(lock.requested).toContain('postgresql-15');
  expect(formatDebianLock(lock)).toBe(await readFile(path, 'utf8'));
});
