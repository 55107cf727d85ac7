import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Label, openWorkspace, type Workspace } from '../../graph/index.ts';
import {
  formatBundle,
  formatStatement,
  generateKeys,
  intotoPayload,
  openSigner,
  reviewStatement,
  signEnvelope,
} from '../../image/index.ts';
import { silent } from '../../progress/index.ts';
import { fetchRelease, type ReleaseContent } from '../artifact/index.ts';
import { createWorkspaceBuilder } from '../building/builder.ts';
import { environmentOf } from '../environment.ts';
import { makeReleases } from '../make-release.ts';
import type { KnownRelease } from '../placement/index.ts';
import { noteReview } from '../proof/reviews.ts';
import { requireProofSettings } from '../proof/settings.ts';
import { registryTransport } from '../push.ts';
import type { RegistryAccess } from '../types.ts';
import { startTestRegistry } from './registry.ts';

export const service = '//one:one' as Label;

export const policy = (builder: string) => `keys: { ci: ci.pub }
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

export interface SignedService {
  readonly root: string;
  readonly registry: RegistryAccess;
  workspace(): Promise<Workspace>;
  write(path: string, text: string): Promise<void>;
  commit(): string;
  /** Makes a release of the service, its image signed or not. */
  make(signed: boolean): Promise<KnownRelease>;
  fetch(reference: string): Promise<ReleaseContent>;
  /** A signed review of the commit, in git's notes. */
  review(approver: string): Promise<void>;
  stop(): Promise<void>;
}

/** A service with one image, two environments with policies (prod, strict), a registry, and a key that signs. */
export async function signedService(): Promise<SignedService> {
  const folder = await mkdtemp(join(tmpdir(), 'banksman-signed-'));
  process.env.BANKSMAN_CACHE = join(folder, 'cache');
  const root = join(folder, 'workspace');
  const write = async (path: string, text: string, top = root) => {
    await mkdir(dirname(join(top, path)), { recursive: true });
    await writeFile(join(top, path), text);
  };
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
  const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
  git('init', '--quiet');
  git('config', 'user.name', 'Ada');
  git('config', 'user.email', 'ada@bank.example');
  git('add', '-A');
  git('commit', '--quiet', '-m', 'first');
  const registry = await startTestRegistry(folder);
  const workspace = () => openWorkspace(root);
  const commit = () => git('rev-parse', 'HEAD');
  return {
    root,
    registry: registry.access,
    workspace,
    write: (path, text) => write(path, text),
    commit,
    async make(signed) {
      const opened = await workspace();
      const settings = () =>
        requireProofSettings({
          key: join(folder, 'ci.key'),
          env: { BANKSMAN_BUILDER: 'https://ci.example/builder', BANKSMAN_KEY_PASSWORD: '' },
        });
      const [made] = await makeReleases({
        builder: await createWorkspaceBuilder(opened, { progress: silent }),
        labels: [service],
        environment: environmentOf(opened, 'prod'),
        cluster: { registry: registry.access },
        progress: silent,
        proof: signed ? { settings: await settings() } : undefined,
      });
      const { reference, release: id } = made!;
      return {
        id,
        service,
        kind: 'service',
        reference,
        order: 1,
        commit: commit(),
        authors: ['Ada <ada@bank.example>'],
        madeAt: 0,
      };
    },
    fetch: async (reference) => fetchRelease(reference, { transport: await registryTransport(registry.access) }),
    async review(approver) {
      const signer = await openSigner(join(folder, 'ci.key'), { env: { COSIGN_PASSWORD: '' } });
      const statement = reviewStatement({ commit: commit(), author: 'ada@bank.example', approvers: [approver] });
      const envelope = await signEnvelope(intotoPayload, formatStatement(statement), signer);
      await noteReview(root, commit(), formatBundle(envelope, signer.publicKey));
    },
    async stop() {
      registry.stop();
      delete process.env.BANKSMAN_CACHE;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
