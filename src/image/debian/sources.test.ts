import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { testFolder } from '../testing/folder.ts';
import { aptSources, formatSources, parseListFile, parseSourcesFile } from './sources.ts';

async function system(files: Record<string, string>): Promise<string> {
  const root = await testFolder();
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

const debian = `Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib non-free
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.example/debian-security/
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`;

test("of a system's sources only Debian's own count", async () => {
  const root = await system({
    'etc/apt/sources.list.d/debian.sources': debian,
    'etc/apt/sources.list.d/docker.list':
      'deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://docker.example/linux/debian bookworm stable\n',
    'etc/apt/sources.list.d/impostor.list':
      'deb [signed-by=/etc/apt/keyrings/other.asc] https://other.example/debian bookworm main\n',
    'etc/apt/sources.list.d/vendor.list': 'deb https://vendor.example/apt cloud-sdk-bookworm main\n',
    'etc/apt/sources.list.d/pgdg.list': 'deb http://pg.example/pub/repos/apt bookworm-pgdg main\n',
    'etc/apt/sources.list.d/old.sources.save': debian.replace('mirror', 'saved'),
    'etc/apt/sources.list.d/off.sources': debian.replaceAll('Types', 'Enabled: no\nTypes').replaceAll('mirror', 'off'),
  });
  const found = await aptSources({ suite: 'bookworm', root });
  expect(found.map(({ uris, suites, components }) => [...uris, ...suites, ...components])).toEqual([
    ['http://mirror.example/debian', 'bookworm', 'bookworm-updates', 'main'],
    ['http://mirror.example/debian-security/', 'bookworm-security', 'main'],
  ]);
  expect(found[0]?.signedBy).toBe('/usr/share/keyrings/debian-archive-keyring.gpg');
});

test('a system of another release lends its mirrors', async () => {
  const root = await system({ 'etc/apt/sources.list.d/debian.sources': debian });
  const found = await aptSources({ suite: 'trixie', root });
  expect(found.map(({ uris, suites }) => [...uris, ...suites])).toEqual([
    ['http://mirror.example/debian', 'trixie', 'trixie-updates'],
    ['http://mirror.example/debian-security/', 'trixie-security'],
  ]);
});

test('the one-line style is understood as well', async () => {
  const root = await system({
    'etc/apt/sources.list':
      '# deb http://commented.example/debian bookworm main\ndeb http://mirror.example/debian bookworm main contrib # why\ndeb-src http://mirror.example/debian bookworm main\n',
  });
  expect(await aptSources({ suite: 'bookworm', root })).toMatchObject([
    { uris: ['http://mirror.example/debian'], components: ['main'] },
  ]);
  expect(parseListFile('deb [ arch=amd64 trusted=yes ] file:/srv/debian ./ main')).toMatchObject([
    { uris: ['file:/srv/debian'], trusted: true },
  ]);
});

test("another distribution takes debootstrap's mirror, and without one is told what to do", async () => {
  const ubuntu = {
    'etc/apt/sources.list.d/ubuntu.sources':
      'Types: deb\nURIs: http://ubuntu.example/ubuntu\nSuites: noble\nComponents: main\n',
  };
  const keyring = 'usr/share/keyrings/debian-archive-keyring.gpg';
  const root = await system({
    ...ubuntu,
    [keyring]: 'key',
    'usr/sbin/debootstrap': 'X=1\nDEF_MIRROR="http://lent.example/debian"\n',
  });
  expect(await aptSources({ suite: 'bookworm', root })).toEqual([
    {
      uris: ['http://lent.example/debian'],
      suites: ['bookworm', 'bookworm-updates'],
      components: ['main'],
      signedBy: join(root, keyring),
    },
    {
      uris: ['http://lent.example/debian-security'],
      suites: ['bookworm-security'],
      components: ['main'],
      signedBy: join(root, keyring),
    },
  ]);
  await expect(aptSources({ suite: 'bookworm', root: await system(ubuntu) })).rejects.toMatchObject({
    code: 'image/no-debian-source',
    next: expect.stringContaining('mirror'),
  });
});

test("the workspace's mirror comes before the system's", async () => {
  const root = await system({ 'etc/apt/sources.list.d/debian.sources': debian });
  const [main, security] = await aptSources({ suite: 'bookworm', mirror: 'https://own.example/debian/', root });
  expect([main?.uris, security?.uris]).toEqual([
    ['https://own.example/debian'],
    ['https://own.example/debian-security'],
  ]);
  expect(main?.signedBy).toContain('debian-archive');
});

test.each([
  { suite: 'Bookworm' },
  { suite: 'bookworm main\nTypes: deb' },
  { suite: 'bookworm', mirror: 'http://x/ y' },
  { suite: 'bookworm', mirror: 'ftp://x/debian' },
  { suite: 'bookworm', mirror: 'http://x\nTrusted: yes' },
  { suite: 'bookworm', architecture: 'amd64"; Dir "/' },
])('%j is refused', async (source) => {
  await expect(aptSources(source)).rejects.toMatchObject({ code: 'image/no-debian-source' });
});

test('what is written for apt is read back the same', () => {
  const entries = parseSourcesFile(debian);
  expect(parseSourcesFile(formatSources(entries))).toEqual(entries);
});
