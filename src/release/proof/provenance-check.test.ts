import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Label, openWorkspace } from '../../graph/index.ts';
import { generateKeys } from '../../image/index.ts';
import { silent } from '../../progress/index.ts';
import {
  createWorkspaceBuilder,
  environmentOf,
  fetchRelease,
  type KnownRelease,
  makeReleases,
  provenanceCheck,
  readPolicies,
  registryTransport,
  requireProofSettings,
} from '../index.ts';
import { startTestRegistry } from '../testing/registry.ts';

const service = '//one:one' as Label;
const policy = (builder: string) => `keys: { ci: ci.pub }
signed_by: [ci]
provenance: { signed_by: [ci], builders: ["${builder}"] }
sbom: { signed_by: [ci] }
`;
const manifest = `apiVersion: apps/v1
kind: Deployment
metadata: {name: one}
spec:
  selector: {matchLabels: {app: one}}
  template:
    metadata: {labels: {app: one}}
    spec:
      containers:
        - {name: one, image: ":image"}
`;

let folder: string;
let root: string;
let registry: Awaited<ReturnType<typeof startTestRegistry>>;
const write = async (path: string, text: string, top = root) => {
  await mkdir(dirname(join(top, path)), { recursive: true });
  await writeFile(join(top, path), text);
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'banksman-provenance-'));
  process.env.BANKSMAN_CACHE = join(folder, 'cache');
  root = join(folder, 'workspace');
  const environment = (name: string) =>
    `  ${name}: {cluster: c, namespace: n, gates: {provenance: {policy: ${name}.yaml}}}\n`;
  await write(
    'banksman.yaml',
    `name: test\nenvironments:\n${environment('prod')}${environment('strict')}  dev: {cluster: c, namespace: n}\n`,
  );
  const { privateKey, publicKey } = await generateKeys('');
  await write('ci.key', privateKey, folder);
  await write('ci.pub', publicKey);
  await write('prod.yaml', policy('https://ci.example/builder'));
  await write('strict.yaml', policy('https://elsewhere.example'));
  await write('one/text.txt', 'one\n');
  await write('one/deployment.yaml', manifest);
  await write(
    'one/BUILD',
    'docker_image(name = "image", files = {"/text.txt": "text.txt"}, entrypoint = ["/none"])\nk8s_config(name = "one", srcs = ["deployment.yaml"], containers = [":image"])\n',
  );
  await write('.gitignore', '/banksman-out/\n');
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=Ada', '-c', 'user.email=ada@b', ...args], { cwd: root });
  git('init', '--quiet');
  git('add', '-A');
  git('commit', '--quiet', '-m', 'first');
  registry = await startTestRegistry(folder);
}, 60_000);
afterAll(async () => {
  registry?.stop();
  delete process.env.BANKSMAN_CACHE;
  await rm(folder, { recursive: true, force: true });
});

const settings = () =>
  requireProofSettings({
    key: join(folder, 'ci.key'),
    env: { BANKSMAN_BUILDER: 'https://ci.example/builder', BANKSMAN_KEY_PASSWORD: '' },
  });
const fetched = async (reference: string) =>
  fetchRelease(reference, { transport: await registryTransport(registry.access) });

async function make(signed: boolean): Promise<KnownRelease> {
  const workspace = await openWorkspace(root);
  const [made] = await makeReleases({
    builder: await createWorkspaceBuilder(workspace, { progress: silent }),
    labels: [service],
    environment: environmentOf(workspace, 'prod'),
    cluster: { registry: registry.access },
    progress: silent,
    proof: signed ? { settings: await settings() } : undefined,
  });
  const { reference, release: id } = made!;
  return { id, service, kind: 'service', reference, order: 1, commit: 'c', authors: [], madeAt: 0 };
}

it('holds a release against the policy that it read at its start, and asks the registry again after a while', async () => {
  const workspace = await openWorkspace(root);
  let time = 0;
  const policies = await readPolicies(workspace);
  expect([...policies.keys()].sort()).toEqual(['prod.yaml', 'strict.yaml']);
  const check = provenanceCheck({
    policies,
    fetchRelease: fetched,
    reach: async () => ({ registry: registry.access }),
    clock: () => time,
  });
  const on = (name: string, release: KnownRelease) => check(environmentOf(workspace, name), release);
  const unsigned = await make(false);
  expect(await on('dev', unsigned)).toBeUndefined();
  const refused = await on('prod', unsigned);
  expect(refused).toMatchObject({ release: unsigned.id, policy: 'prod.yaml', verified: false });
  expect(refused?.reason).toContain('no signature of the key ci');

  const signed = await make(true);
  expect(signed.id).not.toBe(unsigned.id);
  // It is the same image, and the answer of before is kept for a while.
  expect(await on('prod', unsigned)).toEqual(refused);
  time += 10_001;
  expect(await on('prod', unsigned)).toMatchObject({ verified: true, reason: '1 image passes prod.yaml' });
  expect(await on('prod', signed)).toMatchObject({ verified: true });
  expect(await on('strict', signed)).toMatchObject({
    verified: false,
    reason: expect.stringContaining('it was built by https://ci.example/builder') as string,
  });

  // The policy in the work tree is not the one that counts; a server that reads it has another sum.
  await write('prod.yaml', policy('https://elsewhere.example'));
  time += 1_000_000;
  expect(await on('prod', signed)).toMatchObject({ verified: true });
  expect((await readPolicies(workspace)).get('prod.yaml')?.sum).not.toBe(policies.get('prod.yaml')?.sum);
  await write('prod.yaml', policy('https://ci.example/builder'));
}, 60_000);

it('names what was stated of its images in a release, and gives the same release again', async () => {
  const first = await make(true);
  expect((await make(true)).id).toBe(first.id);
  const { images, provenance } = await fetched(first.reference);
  expect(provenance).toHaveLength(3);
  expect(new Set(provenance.map(({ subject }) => subject))).toEqual(new Set(images.map(({ digest }) => digest)));
}, 60_000);

it('says no where the registry does not have the release', async () => {
  const workspace = await openWorkspace(root);
  const known = await make(false);
  const check = provenanceCheck({
    policies: await readPolicies(workspace),
    fetchRelease: fetched,
    reach: async () => ({ registry: registry.access }),
  });
  const gone = { ...known, id: 'gone', reference: known.reference.replace(/[0-9a-f]{64}$/, 'e'.repeat(64)) };
  expect(await check(environmentOf(workspace, 'prod'), gone)).toMatchObject({ verified: false });
});
