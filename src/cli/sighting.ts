import { isFault } from '../fault/index.ts';
import { ProcessFault, run } from '../process/index.ts';
import { type Api, itemsOf, queryText } from './api.ts';

interface Known {
  readonly service: string;
  readonly gone?: object;
}

/** Services that are told of in one call. */
const atOnce = 200;

/**
 * Tells the server which of the services that it knows the workspace has no more. That deletes nothing: it is shown.
 *
 * @param patterns what was looked through, as whole labels
 * @param services all that was found there
 * @returns those that are newly gone
 */
export async function tellSighting(
  call: Api,
  root: string,
  patterns: readonly string[],
  services: ReadonlySet<string>,
): Promise<readonly string[]> {
  const commit = await headOf(root);
  if (commit === undefined) return [];
  const gone: string[] = [];
  const there: string[] = [];
  const path = `/v1/services${queryText({ match: patterns.join(','), limit: 500 })}`;
  for await (const { service, gone: isGone } of itemsOf<Known>(call, path)) {
    if (!services.has(service) && isGone === undefined) gone.push(service);
    if (services.has(service) && isGone !== undefined) there.push(service);
  }
  const count = Math.max(1, Math.ceil(gone.length / atOnce), Math.ceil(there.length / atOnce));
  for (let turn = 0; turn < count; turn++) {
    const part = (labels: readonly string[]) => labels.slice(turn * atOnce, (turn + 1) * atOnce);
    await call('POST', '/v1/workspace/sightings', { ...commit, gone: part(gone), there: part(there) });
  }
  return gone;
}

/** Whether the server refuses to be told: who may not say so has not done anything wrong. */
export function isRefused(error: unknown): boolean {
  return isFault(error) && error.code === 'server/not-allowed';
}

async function headOf(root: string): Promise<{ commit: string; committedAt: string } | undefined> {
  try {
    const { stdout } = await run('git', ['--no-optional-locks', 'log', '-1', '--format=%H%n%cI'], { cwd: root });
    const [commit = '', time = ''] = stdout.toString('utf8').trim().split('\n');
    return { commit, committedAt: new Date(time).toISOString() };
  } catch (error) {
    if (error instanceof ProcessFault) return undefined;
    throw error;
  }
}
