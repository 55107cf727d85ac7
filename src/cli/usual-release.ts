import { Fault } from '../fault/index.ts';
import type { Api } from './api.ts';
import { placePath } from './follow.ts';
import { environmentsOf } from './placements.ts';
import type { ReleaseView } from './views/changes.ts';
import { type RolloutView, shortRelease } from './views/rollouts.ts';

/** A release that nobody named. */
export interface UsualRelease {
  readonly id: string;
  /** `release 3f9ac21b04d7 (12), which is healthy in staging` */
  readonly told: string;
}

/**
 * What a promotion means where no release is named: what is healthy in the environment before; the newest where there is none before.
 *
 * @throws Fault cli/no-release where there is no such release
 */
export async function usualRelease(call: Api, service: string, environment: string): Promise<UsualRelease> {
  const upstream = (await environmentsOf(call)).find(({ name }) => name === environment)?.after;
  if (upstream === undefined) {
    const [newest] = (await call('GET', `/v1/services/${encodeURIComponent(service)}/releases`)) as ReleaseView[];
    if (newest !== undefined) return told(newest, 'the newest');
    throw new Fault('cli/no-release', `the server knows no release of ${service}`, {
      next: 'make one: banksman release',
    });
  }
  const { live } = (await call('GET', placePath(service, upstream))) as { readonly live?: RolloutView };
  if (live?.state === 'healthy') return told(live.release, `which is healthy in ${upstream}`);
  const how = live === undefined ? 'not there' : live.state;
  throw new Fault('cli/no-release', `nothing of ${service} is healthy in ${upstream}: it is ${how}`, {
    next: `bring it there first: banksman promote ${service} --env ${upstream}; or name a release with --release`,
  });
}

function told({ id, order }: { readonly id: string; readonly order: number }, which: string): UsualRelease {
  return { id, told: `release ${shortRelease(id)} (${order}), ${which}` };
}
