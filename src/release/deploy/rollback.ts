import type { RegistrySettings } from '../../image/index.ts';
import { checkManifests } from '../../manifest/index.ts';
import { findRelease, lastRollout, neverDeployed, releaseNamed, rollbackTarget } from '../cluster/record.ts';
import { openSession } from '../cluster/session.ts';
import { checkProofs } from '../proof/check.ts';
import type { Release, Service, ServiceDeployment } from '../types.ts';
import type { RolloutOptions } from './deploy.ts';
import { rollOut } from './rollout.ts';

export interface RollbackOptions extends RolloutOptions {
  readonly service: Service;
  /** Folder that the environment's policy is read from; the current one unless told. */
  readonly workspaceRoot?: string;
  /** What the workspace says of registries. */
  readonly registries?: RegistrySettings | undefined;
  /** Id of a release, or the beginning of one; the last good one other than the current unless told. */
  readonly to?: string;
}

/**
 * Applies an earlier release again, as it was, and waits until it serves. Builds nothing and needs no work tree.
 *
 * @throws ReleaseFault release/never-deployed, release/no-good-release, release/unknown-release; ProofFault proof/refused
 */
export async function rollback(options: RollbackOptions): Promise<ServiceDeployment & { readonly to: Release }> {
  const { service, environment, progress, signal } = options;
  const session = await openSession(options.cluster, environment, signal);
  try {
    const record = await session.store.read(service.label);
    const last = lastRollout(record);
    if (last === undefined) throw neverDeployed(service.label);
    const to = options.to === undefined ? rollbackTarget(record) : releaseNamed(record, options.to);
    progress.say(`${service.label} goes back from ${named(findRelease(record, last.release))} to ${named(to)}`);
    const { documents } = checkManifests([{ path: `release ${to.id.slice(0, 12)}`, source: to.manifests }], {
      package: '',
      containers: [],
      namespace: session.namespace,
    });
    const { workspaceRoot = '.', breakGlass, registries } = options;
    const { registry } = options.cluster;
    const check = { environment, workspaceRoot, registry, registries, breakGlass, progress, signal };
    // Also on the way back: what was let in before the policy may not fulfil it.
    const [proof] = await checkProofs([{ images: to.images, documents }], check);
    const ended = await rollOut({
      service,
      release: to,
      documents,
      kind: 'rollback',
      proof,
      cluster: session.cluster,
      namespace: session.namespace,
      store: session.store,
      mirror: session.mirror,
      deadline: options.deadline,
      force: options.force ?? false,
      observe: options.observe ?? (() => {}),
      signal,
    });
    return { ...ended, to };
  } finally {
    session.close();
  }
}

function named(release: Release | undefined): string {
  if (release === undefined) return 'a release that is remembered no more';
  const { commit, dirty } = release.origin;
  const from = commit === undefined ? '' : ` (commit ${commit.slice(0, 10)}${dirty ? ' + edits' : ''})`;
  return `release ${release.id.slice(0, 12)}${from}`;
}
