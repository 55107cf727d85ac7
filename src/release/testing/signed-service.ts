import { openWorkspace, type Workspace } from '../../graph/index.ts';
import { silent } from '../../progress/index.ts';
import { fetchRelease, type ReleaseContent } from '../artifact/index.ts';
import { createWorkspaceBuilder } from '../building/builder.ts';
import { environmentOf } from '../environment.ts';
import { makeReleases } from '../make-release.ts';
import type { KnownRelease } from '../placement/index.ts';
import { registryTransport } from '../push.ts';
import type { RegistryAccess } from '../types.ts';
import { oneService, builder as ownBuilder, service } from './one-service.ts';

export { service };

export const policy = (builder: string) => `keys: { ci: ci.pub }
signed_by: [ci]
provenance: { signed_by: [ci], builders: ["${builder}"] }
sbom: { signed_by: [ci] }
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
  const environment = (name: string) =>
    `  ${name}: {cluster: c, namespace: n, gates: {provenance: {policy: ${name}.yaml}}}\n`;
  const one = await oneService({
    files: {
      'banksman.yaml': `name: test\nenvironments:\n${environment('prod')}${environment('strict')}  dev: {cluster: c, namespace: n}\n`,
      'prod.yaml': policy(ownBuilder),
      'strict.yaml': policy('https://elsewhere.example'),
    },
    keys: { ci: 'ci.pub' },
  });
  const { root, registry, write, commit, stop } = one;
  const workspace = () => openWorkspace(root);
  return {
    root,
    registry,
    workspace,
    write,
    commit,
    stop,
    async make(signed) {
      const opened = await workspace();
      const [made] = await makeReleases({
        builder: await createWorkspaceBuilder(opened, { progress: silent }),
        labels: [service],
        environment: environmentOf(opened, 'prod'),
        cluster: { registry },
        progress: silent,
        proof: signed ? { settings: await one.settings() } : undefined,
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
    fetch: async (reference) => fetchRelease(reference, { transport: await registryTransport(registry) }),
    review: (approver) => one.review('ci', approver),
  };
}
