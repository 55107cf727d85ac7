import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Label } from '../../graph/index.ts';
import {
  formatBundle,
  formatStatement,
  generateKeys,
  intotoPayload,
  openSigner,
  reviewStatement,
  signEnvelope,
} from '../../image/index.ts';
import { noteReview } from '../proof/reviews.ts';
import { requireProofSettings } from '../proof/settings.ts';
import type { RegistryAccess } from '../types.ts';
import { startTestRegistry } from './registry.ts';

/** The service, its image, and who builds it. */
export const service = '//one:one' as Label;
export const image = '//one:image' as Label;
export const builder = 'https://ci.example/builder';

/** Its Deployment. @param extra further lines of the pod's specification */
export const manifest = (extra = '') => `apiVersion: apps/v1
kind: Deployment
metadata: {name: one}
spec:
  selector: {matchLabels: {app: one}}
  template:
    metadata: {labels: {app: one}}
    spec:
      containers:
        - {name: one, image: ":image"}
${extra}`;

export interface OneService {
  readonly folder: string;
  /** Of the workspace. */
  readonly root: string;
  readonly registry: RegistryAccess;
  /** In the workspace. */
  write(path: string, text: string): Promise<void>;
  git(...args: readonly string[]): string;
  commit(): string;
  /** To sign with the key `ci`, as its builder. */
  settings(): ReturnType<typeof requireProofSettings>;
  /** A signed review of the commit, in git's notes. */
  review(key: string, approver: string): Promise<void>;
  stop(): Promise<void>;
}

/**
 * A workspace with one service of one image, committed by Ada; keys without a password; a registry; a cache of its own.
 *
 * @param files of the workspace, beside the service's
 * @param keys by name, with the path in the workspace of each public one; `ci` among them
 */
export async function oneService({
  files,
  keys,
}: {
  readonly files: Readonly<Record<string, string>>;
  readonly keys: Readonly<Record<string, string>>;
}): Promise<OneService> {
  const folder = await mkdtemp(join(tmpdir(), 'banksman-one-'));
  process.env.BANKSMAN_CACHE = join(folder, 'cache');
  const root = join(folder, 'workspace');
  const write = async (path: string, text: string, top = root) => {
    await mkdir(dirname(join(top, path)), { recursive: true });
    await writeFile(join(top, path), text);
  };
  for (const [name, path] of Object.entries(keys)) {
    const { privateKey, publicKey } = await generateKeys('');
    await write(`${name}.key`, privateKey, folder);
    await write(path, publicKey);
  }
  const own = {
    'one/text.txt': 'one\n',
    'one/deployment.yaml': manifest(),
    'one/BUILD': `docker_image(name = "image", files = {"/text.txt": "text.txt"}, entrypoint = ["/none"])
k8s_config(name = "one", srcs = ["deployment.yaml"], containers = [":image"])
`,
    '.gitignore': '/banksman-out/\n',
  };
  for (const [path, text] of Object.entries({ ...own, ...files })) await write(path, text);
  const git = (...args: readonly string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
  git('init', '--quiet');
  git('config', 'user.name', 'Ada');
  git('config', 'user.email', 'ada@bank.example');
  git('remote', 'add', 'origin', 'https://git.example/bank.git');
  git('add', '-A');
  git('commit', '--quiet', '-m', 'first');
  const registry = await startTestRegistry(folder);
  const commit = () => git('rev-parse', 'HEAD');
  return {
    folder,
    root,
    registry: registry.access,
    write: (path, text) => write(path, text),
    git,
    commit,
    settings: () =>
      requireProofSettings({
        key: join(folder, 'ci.key'),
        env: { BANKSMAN_BUILDER: builder, BANKSMAN_KEY_PASSWORD: '' },
      }),
    async review(key, approver) {
      const signer = await openSigner(join(folder, `${key}.key`), { env: { COSIGN_PASSWORD: '' } });
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
