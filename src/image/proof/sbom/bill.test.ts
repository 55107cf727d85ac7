import { hash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { SPDX, Spec, Validation } from '@cyclonedx/cyclonedx-library';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../../canonical.ts';
import { digestOf } from '../../digest.ts';
import { layoutBlob } from '../../layout.ts';
import { makeImage } from '../../make.ts';
import { mediaTypes } from '../../manifest.ts';
import { openBlobStore } from '../../store.ts';
import { arrange, fileEntry, writeTar } from '../../tar/write.ts';
import { testFolder } from '../../testing/folder.ts';
import { type BillRequest, billOfMaterials } from './bill.ts';
import { takeInventory } from './inventory.ts';
import { licencesOfCopyright, spdxId } from './licence.ts';
import type { Module } from './module.ts';
import { packageUrl } from './package-url.ts';

const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: it

Files: *
License: GPL-2+ or Artistic
 This program is free software.

Files: other/*
License: Expat
`;

/** An image with two packages, one of which is documented in the other's folder, below files. */
async function image(folder: string) {
  const store = await openBlobStore(join(folder, 'store'));
  const layers: [string, Record<string, string>][] = [
    [
      'debian libit 1:2.0+b~1',
      {
        'usr/lib/libit.so': 'code',
        'usr/share/doc/libit-common/copyright': copyright,
        'var/lib/dpkg/status.d/libit': 'Package: libit\nSource: it (2.0)\nVersion: 1:2.0+b~1\nArchitecture: amd64\n',
      },
    ],
    [
      'debian base-files 12',
      {
        'usr/share/doc/base-files/copyright': 'free for all\n',
        'usr/lib/os-release': 'NAME="Debian"\nVERSION_ID="12"\nID=debian\n',
        'var/lib/dpkg/status.d/base-files': 'Package: base-files\nVersion: 12\nArchitecture: all\n',
      },
    ],
  ];
  const packages = [];
  for (const [createdBy, files] of layers) {
    const entries = Object.entries(files).map(([path, content]) => fileEntry(path, content));
    if (createdBy.includes('libit')) {
      const link = { type: 'symlink', mode: 0o777, uid: 0, gid: 0, size: 0 } as const;
      entries.push({ ...link, path: 'usr/share/doc/libit', target: 'libit-common' });
    }
    const path = join(folder, `${packages.length}.tar`);
    await writeFile(path, await collect(writeTar(arrange(entries))));
    packages.push({ path, createdBy });
  }
  const files = [{ destination: '/app/it.jar', content: 'jar' }];
  return makeImage({ store, output: join(folder, 'it.oci'), packages, files, config: {}, architecture: 'amd64' });
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(piece);
  return Buffer.concat(parts);
}

const base64 = (algorithm: string) => hash(algorithm, 'a', 'base64');

const modules: Module[] = [
  {
    ecosystem: 'maven',
    namespace: 'org.postgresql',
    name: 'postgresql',
    version: '42.7.8',
    sha256: 'ab'.repeat(32),
    licences: ['BSD-2-Clause'],
    label: '//third_party/java:postgresql',
  },
  { ecosystem: 'golang', namespace: 'golang.org/x', name: 'text', version: 'v0.14.0', licences: [] },
  { ecosystem: 'pypi', namespace: '', name: 'Typing_Extensions', version: '4.1', licences: ['PSF-2.0', 'own words'] },
  {
    ecosystem: 'pypi',
    namespace: '',
    name: 'many',
    version: '1.0',
    licences: [],
    archives: [
      { name: 'many-1.0-cp311.whl', sha256: 'ab'.repeat(32), licences: ['MIT'] },
      { name: 'many-1.0-cp312.whl', sha256: 'cd'.repeat(32), licences: ['ISC'] },
    ],
  },
  { ecosystem: 'pypi', namespace: '', name: 'one-of', version: '1', licences: [], possible: ['12'.repeat(32)] },
  {
    ecosystem: 'npm',
    namespace: '@s',
    name: 'a',
    version: '1.0.0',
    licences: ['MIT'],
    integrity: `sha1-${base64('sha1')} sha512-${base64('sha512')} sha256-YWJj`,
  },
  { ecosystem: 'generic', namespace: '', name: 'tool.tar.gz', version: '', licences: [], url: 'https://x.example/a b' },
];

async function request(folder: string): Promise<BillRequest> {
  const { layout, digest } = await image(folder);
  const inventory = await takeInventory(layout);
  const archives = new Map([['libit 1:2.0+b~1 amd64', 'cd'.repeat(32)]]);
  return { name: 'bank/it', digest, inventory, modules, archives, version: '1.2.3' };
}

async function problems(bill: object): Promise<unknown> {
  return new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(JSON.stringify(bill));
}

describe('the bill of an image', () => {
  test('is valid by the official schema of CycloneDX 1.6, and the validator finds mistakes', async () => {
    const bill = billOfMaterials(await request(await testFolder()));
    expect(await problems(bill)).toBeNull();
    expect(await problems({ ...bill, serialNumber: 'urn:uuid:1' })).not.toBeNull();
    expect(await problems({ ...bill, components: [{ name: 'no type' }] })).not.toBeNull();
  });

  test('has packages with sums, licences and layers, modules, and files', async () => {
    const bill = billOfMaterials(await request(await testFolder()));
    const components = bill.components as { name: string; purl?: string }[];
    expect(components.map(({ name }) => name).filter((name) => !name.startsWith('/etc/'))).toEqual([
      'debian',
      'base-files',
      'libit',
      'postgresql',
      'text',
      'Typing_Extensions',
      'many',
      'one-of',
      'a',
      'tool.tar.gz',
      '/app/it.jar',
    ]);
    expect(components.find(({ name }) => name === 'libit')).toMatchObject({
      purl: 'pkg:deb/debian/libit@1:2.0%2Bb~1?arch=amd64&distro=debian-12&upstream=it',
      hashes: [{ alg: 'SHA-256', content: 'cd'.repeat(32) }],
      // `Artistic` names no version, so that it has no id.
      licenses: [
        { license: { name: 'Artistic' } },
        { license: { id: 'GPL-2.0-or-later' } },
        { license: { id: 'MIT' } },
      ],
      properties: [{ name: 'banksman:layer', value: expect.stringMatching(/^sha256:/) }],
    });
    // Nobody has said what this means: its sum tells when somebody has to look again.
    expect(components.find(({ name }) => name === 'base-files')).toMatchObject({
      licenses: [{ license: { name: 'NOASSERTION' } }],
      properties: [
        { name: 'banksman:copyright-sha256', value: hash('sha256', 'free for all\n') },
        { name: 'banksman:layer' },
      ],
    });
    expect(components.find(({ name }) => name === 'postgresql')).toMatchObject({
      purl: 'pkg:maven/org.postgresql/postgresql@42.7.8?type=jar',
      licenses: [{ license: { id: 'BSD-2-Clause' } }],
    });
    expect(components.find(({ name }) => name === 'many')).toMatchObject({
      components: [
        {
          name: 'many-1.0-cp311.whl',
          purl: 'pkg:pypi/many@1.0?file_name=many-1.0-cp311.whl',
          hashes: [{ alg: 'SHA-256', content: 'ab'.repeat(32) }],
          licenses: [{ license: { id: 'MIT' } }],
        },
        { name: 'many-1.0-cp312.whl', licenses: [{ license: { id: 'ISC' } }] },
      ],
    });
    expect(components.find(({ name }) => name === 'one-of')).toMatchObject({
      properties: [{ name: 'banksman:possible-sha256', value: '12'.repeat(32) }],
    });
    expect(components.find(({ name }) => name === 'a')).toMatchObject({
      purl: 'pkg:npm/%40s/a@1.0.0',
      hashes: [
        { alg: 'SHA-1', content: hash('sha1', 'a') },
        { alg: 'SHA-512', content: hash('sha512', 'a') },
      ],
    });
    expect(components.find(({ name }) => name === '/app/it.jar')).toMatchObject({
      type: 'file',
      hashes: [{ alg: 'SHA-256', content: digestOf('jar').slice('sha256:'.length) }],
    });
  });

  test('is the same for the same image, and has another serial number for another one', async () => {
    const one = billOfMaterials(await request(await testFolder()));
    const two = billOfMaterials(await request(await testFolder()));
    expect(canonicalJson(one)).toBe(canonicalJson(two));
    const other = billOfMaterials({ ...(await request(await testFolder())), modules: [] });
    expect(other.serialNumber).not.toBe(one.serialNumber);
    expect(one.serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test('a system with one status file, in a compressed layer, is understood too', async () => {
    const folder = await testFolder();
    const status = `Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n
Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n`;
    const tar = await collect(writeTar(arrange([fileEntry('var/lib/dpkg/status', status), fileEntry('bin/a', 'a')])));
    const layer = gzipSync(tar);
    const config = Buffer.from(
      canonicalJson({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [digestOf(tar)] } }),
    );
    const describe = (mediaType: string, bytes: Uint8Array) => ({
      mediaType,
      digest: digestOf(bytes),
      size: bytes.length,
    });
    const manifest = Buffer.from(
      canonicalJson({
        schemaVersion: 2,
        mediaType: mediaTypes.manifest,
        config: describe(mediaTypes.config, config),
        layers: [describe(mediaTypes.layerGzip, layer)],
      }),
    );
    await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true });
    for (const bytes of [layer, config, manifest]) await writeFile(layoutBlob(folder, digestOf(bytes)), bytes);
    await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    const index = {
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests: [describe(mediaTypes.manifest, manifest)],
    };
    await writeFile(join(folder, 'index.json'), canonicalJson(index));
    const inventory = await takeInventory(folder);
    expect(inventory.packages.map(({ name }) => name)).toEqual(['a']);
  });
});

test.each([
  ['GPL-2+', 'GPL-2.0-or-later'],
  ['GPL-2.0+', 'GPL-2.0-or-later'],
  ['GPL-3', 'GPL-3.0-only'],
  ['LGPL-2.1+', 'LGPL-2.1-or-later'],
  ['LGPL-2', 'LGPL-2.0-only'],
  ['AGPL-3+', 'AGPL-3.0-or-later'],
  ['GFDL-NIV-1.3+', 'GFDL-1.3-no-invariants-or-later'],
  ['BSD-3-clause', 'BSD-3-Clause'],
  ['Expat', 'MIT'],
  ['ZLIB', 'Zlib'],
  ['GPL', undefined],
  ['GPL-2.1', undefined],
  ['GPL-2+ with Autoconf exception', undefined],
  ['Artistic', undefined],
  ['public-domain', undefined],
])('the licence %s is %s', (name, id) => {
  expect(spdxId(name)).toBe(id);
  if (id !== undefined) expect(SPDX.isSupportedSpdxId(id)).toBe(true);
});

test('a copyright file that is prose names no licence', () => {
  expect(licencesOfCopyright('This package was debianised by me.\nLicense: GPL-2+\n')).toEqual([]);
  const see = (name: string) => `The full text is in /usr/share/common-licenses/${name}.\n`;
  expect(licencesOfCopyright(`By me. ${see('Apache-2.0')}${see('Apache-2.0')}`)).toEqual(['Apache-2.0']);
  expect(licencesOfCopyright(`version 2, or any\n  later version. ${see('GPL-2')}${see('BSD')}`)).toEqual([
    'BSD',
    'GPL-2+',
  ]);
  const several = licencesOfCopyright(`any later version ${see('GPL-2')}${see('LGPL-2.1')}`);
  expect(several.map(spdxId)).toEqual([undefined, undefined]);
  expect(licencesOfCopyright(copyright)).toEqual(['Artistic', 'Expat', 'GPL-2+']);
});

test('package URLs are encoded as their specification says', () => {
  expect(packageUrl({ type: 'golang', namespace: 'github.com/a', name: 'b', version: 'v1.0.0+incompatible' })).toBe(
    'pkg:golang/github.com/a/b@v1.0.0%2Bincompatible',
  );
  expect(packageUrl({ type: 'oci', name: 'ledger', version: 'sha256:ab' })).toBe('pkg:oci/ledger@sha256:ab');
});
