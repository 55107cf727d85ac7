import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Label, openWorkspace } from '../../graph/index.ts';
import { createRegistryHandler, digestOf, openBlobStore } from '../../image/index.ts';
import { createWorkspaceBuilder } from '../building/builder.ts';
import { environmentOf } from '../environment.ts';
import { makeReleases } from '../make-release.ts';
import { renderBundle } from '../render.ts';
import type { ReleaseContent } from './content.ts';
import { packRelease, unpackRelease } from './pack.ts';
import { fetchRelease, pushRelease } from './registry.ts';

const image = (name: string) => ({
  label: `//bank/${name}:image` as Label,
  repository: `bank/${name}`,
  tag: '0123456789ab',
  digest: `sha256:${'1'.repeat(64)}`,
});
const content: ReleaseContent = {
  bundle: {
    format: 1,
    service: '//bank/ledger:ledger',
    owner: 'payments',
    containers: ['//bank/ledger:image'],
    files: [{ path: 'bank/ledger/ledger.yaml', source: 'kind: Deployment # é\n' }],
    patches: { prod: [{ path: 'bank/ledger/prod.yaml', source: 'kind: Deployment\n' }] },
  },
  images: [image('ledger'), image('audit')],
  commit: 'c'.repeat(40),
  authors: ['Ada <ada@bank.example>', 'Bob <bob@bank.example>'],
  reviewers: ['Cyd <cyd@bank.example>'],
  provenance: [
    { subject: 'sha256:b', statement: 'sha256:2' },
    { subject: 'sha256:a', statement: 'sha256:1' },
  ],
};

function open(release: ReleaseContent): Promise<ReleaseContent> {
  const { manifest, blobs } = packRelease(release);
  const found = new Map(blobs.map((blob) => [digestOf(blob), blob]));
  return unpackRelease(manifest, async (digest) => found.get(digest)!);
}

describe('a packed release', () => {
  it('is named by its content, whatever order its sets came in', () => {
    const { digest } = packRelease(content);
    const turned: ReleaseContent = {
      ...content,
      images: content.images.toReversed(),
      authors: [...content.authors, content.authors[0]!].toReversed(),
      provenance: content.provenance.toReversed(),
    };
    expect(packRelease(turned).digest).toBe(digest);
    // A name that changes with a version of Banksman would make every service another release.
    expect(digest).toBe('sha256:5054e45678d7143ec7b3dff942fad39600faec99c2e0bca9801b166c03945a63');
  });

  it('has another name where anything in it differs', () => {
    const { digest } = packRelease(content);
    const others: ReleaseContent[] = [
      { ...content, commit: 'd'.repeat(40) },
      { ...content, reviewers: [] },
      { ...content, authors: ['Ada <ada@bank.example>'] },
      { ...content, provenance: [] },
      { ...content, images: [{ ...content.images[0]!, digest: `sha256:${'2'.repeat(64)}` }, content.images[1]!] },
      { ...content, bundle: { ...content.bundle, patches: {} } },
      {
        ...content,
        bundle: { ...content.bundle, files: [{ path: 'bank/ledger/ledger.yaml', source: 'kind: Job\n' }] },
      },
    ];
    const names = new Set(others.map((other) => packRelease(other).digest));
    expect(names.size).toBe(others.length);
    expect(names.has(digest)).toBe(false);
  });

  it('opens to what was packed', async () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 });
    await fc.assert(
      fc.asyncProperty(fc.array(text), fc.array(text), text, async (authors, reviewers, source) => {
        const files = [{ path: 'a.yaml', source }];
        const release = { ...content, authors, reviewers, bundle: { ...content.bundle, files } };
        const opened = await open(release);
        expect(packRelease(opened).digest).toBe(packRelease(release).digest);
        expect(opened.bundle.files).toEqual(files);
      }),
      { numRuns: 100 },
    );
  });

  it.each<[string, (text: string) => string]>([
    ['another type', (text) => text.replace('vnd.banksman.release.v1', 'vnd.other')],
    ['no JSON', (text) => text.slice(1)],
    ['a list', () => '[]'],
    ['no layer', (text) => text.replace(/"layers":\[.*?\]/, '"layers":[]')],
    ['a path for a digest', (text) => text.replace(/sha256:[0-9a-f]{64}/, 'sha256:../../etc/passwd')],
  ])('is refused with %s', async (_, change) => {
    const { manifest, blobs } = packRelease(content);
    const found = new Map(blobs.map((blob) => [digestOf(blob), blob]));
    const bad = Buffer.from(change(manifest.toString('utf8')));
    await expect(unpackRelease(bad, async (digest) => found.get(digest)!)).rejects.toMatchObject({
      code: 'release/bad-artifact',
    });
  });
});

async function registry(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'banksman-releases-'));
  const store = await openBlobStore(join(folder, 'blobs'));
  const server = createServer(createRegistryHandler(store, { root: join(folder, 'registry') }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  });
  return `127.0.0.1:${(server.address() as { port: number }).port}`;
}

const access = { transport: { plainHttp: true, credentials: 'anonymous' } } as const;

describe('a registry', () => {
  it('gives back a release by its name, and takes it twice', async () => {
    const host = await registry();
    const first = await pushRelease(host, content, access);
    expect(await pushRelease(host, content, access)).toEqual(first);
    expect(first.reference).toBe(`${host}/releases/bank/ledger@${packRelease(content).digest}`);
    expect(packRelease(await fetchRelease(first.reference, access)).digest).toBe(first.digest);
  });
});

describe('makeReleases', () => {
  const progress = { begin: () => ({ update() {}, done() {}, fail() {} }), say() {} };

  async function workspace() {
    const root = await mkdtemp(join(tmpdir(), 'banksman-release-'));
    onTestFinished(() => rm(root, { recursive: true, force: true }));
    const host = await registry();
    const write = async (path: string, text: string) => {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text);
    };
    const git = (...words: string[]) =>
      execFileSync('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@bank.example', ...words], { cwd: root });
    const commit = (message: string) => {
      git('add', '-A');
      git('commit', '-qm', message);
    };
    git('init', '-q');
    const environments = `  dev: { cluster: local, namespace: dev, registry: "${host}", parameters: { n: 1 } }\n`;
    await write('banksman.yaml', `name: test\nenvironments:\n${environments}`);
    await write('.gitignore', 'banksman-out\n');
    for (const name of ['web', 'api']) {
      await write(`${name}/BUILD`, `k8s_config(name = "${name}", srcs = ["${name}.yaml"])\n`);
      await write(
        `${name}/${name}.yaml`,
        `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name} }\ndata: { n: !param n }\n`,
      );
    }
    commit('first\n\nReviewed-by: Cyd <cyd@bank.example>\nCo-authored-by: Bob <bob@bank.example>');
    const make = async (...labels: Label[]) => {
      const opened = await openWorkspace(root);
      const builder = await createWorkspaceBuilder(opened, { progress });
      const environment = environmentOf(opened, 'dev');
      const settings = { name: host };
      return makeReleases({ builder, labels, environment, cluster: { registry: settings }, progress });
    };
    return { root, write, commit, make };
  }

  it('names the same commit the same, and another commit another, with its people', async () => {
    const { write, commit, make } = await workspace();
    const [first] = await make('//web:web');
    expect(await make('//web:web')).toEqual([first]);
    const release = await fetchRelease(first!.reference, access);
    expect(release).toMatchObject({
      authors: ['Ada <ada@bank.example>', 'Bob <bob@bank.example>'],
      reviewers: ['Cyd <cyd@bank.example>'],
    });
    const environment = {
      name: 'prod',
      cluster: 'c',
      namespace: 'p',
      registry: 'r',
      parameters: { n: 'x' },
      place: { file: 'b' },
    };
    expect(renderBundle(release.bundle, release.images, environment).documents[0]?.object.data).toEqual({ n: 'x' });
    await write('web/web.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: web }\n');
    commit('second');
    const [second] = await make('//web:web');
    expect(second?.release).not.toBe(first?.release);
  });

  it('refuses files that differ from the commit', async () => {
    const { write, make } = await workspace();
    await write('web/web.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: web }\n');
    await expect(make('//web:web')).rejects.toMatchObject({ code: 'release/uncommitted' });
  });
});
