import { Fault } from '../fault/index.ts';
import type { Api } from './api.ts';
import type { CommandContext } from './context.ts';
import { followNews } from './news.ts';
import { count } from './views/count.ts';
import { paintState, type RolloutView, shortRelease } from './views/rollouts.ts';

/** A rollout that somebody waits for. */
export interface Followed {
  readonly service: string;
  readonly environment: string;
  readonly rollout: string;
}

interface Place {
  readonly live?: RolloutView;
  readonly rollouts: readonly RolloutView[];
}

/** States that a rollout does not leave by itself; a healthy one may be gone back from later. */
const ended = ['healthy', 'removed', 'failed', 'superseded', 'cancelled', 'rolled-back'];

/** A service's path in the API. */
export function placePath(service: string, environment: string): string {
  return `/v1/environments/${encodeURIComponent(environment)}/services/${encodeURIComponent(service)}`;
}

/**
 * Asks for a release in an environment, unless it is there or on its way: then nothing is asked.
 *
 * @returns what to follow; undefined where the release is what is live and healthy
 */
export async function promoteOnce(
  call: Api,
  {
    service,
    environment,
    release,
  }: { readonly service: string; readonly environment: string; readonly release: string },
  why: string | undefined,
): Promise<Followed | undefined> {
  const path = placePath(service, environment);
  const { live, rollouts } = (await call('GET', path)) as Place;
  const waiting = rollouts.find((each) => each.release.id === release && !ended.includes(each.state));
  if (waiting !== undefined) return { service, environment, rollout: waiting.id };
  if (live?.release.id === release) return undefined;
  const body = { release, ...(why !== undefined && { why }) };
  const { id } = (await call('POST', `${path}/promotions`, body)) as RolloutView;
  return { service, environment, rollout: id };
}

/**
 * Waits until each has ended, and tells of every new state: live on a terminal, in a line each elsewhere. What waits for a gate is waited
 * for as well. The server's stream says when there is something new.
 *
 * @returns rollouts as they ended, in the order given
 */
export async function follow(
  call: Api,
  wanted: readonly Followed[],
  { terminal, progress, signal, quiet = false }: CommandContext & { readonly quiet?: boolean },
): Promise<RolloutView[]> {
  const width = Math.max(0, ...wanted.map(({ service }) => service.length));
  const news = followNews(call, signal);
  await news.ready();
  const all = wanted.map(async ({ service, environment, rollout }) => {
    const task = progress.begin(service);
    try {
      const path = placePath(service, environment);
      const next = news.heed((subject) => subject === `${service} in ${environment}`);
      let said = '';
      for (;;) {
        const { rollouts } = (await call('GET', path)) as Place;
        const found = rollouts.find(({ id }) => id === rollout);
        if (found === undefined) {
          throw new Fault('cli/no-rollout', `the server shows no rollout ${rollout} of ${service} any more`, {
            next: `see what there is: banksman history ${service} --env ${environment}`,
          });
        }
        const { state, steps, release } = found;
        const at = Date.parse(steps.at(-1)?.at ?? found.due);
        if (ended.includes(state)) {
          const seconds = ((at - Date.parse(steps[0]?.at ?? found.due)) / 1000).toFixed(1);
          const mark = state === 'healthy' || state === 'removed' ? terminal.paint.good('✓') : terminal.paint.bad('✗');
          const told = `release ${shortRelease(release.id)}${terminal.paint.faint(`  ${seconds} s`)}`;
          if (!quiet) terminal.print(`${mark} ${service.padEnd(width)}  ${paintState(state, terminal.paint)}  ${told}`);
          return found;
        }
        const why = steps.at(-1)?.why;
        const text = `${state}${why === undefined ? '' : `  ${why}`}`;
        if (text !== said && !terminal.live) progress.say(`  ${service}  ${text}`);
        said = text;
        task.update(text);
        await next();
      }
    } finally {
      task.done();
    }
  });
  try {
    return await Promise.all(all);
  } finally {
    news.stop();
  }
}

/**
 * Lets the command fail where one of them did.
 *
 * @param good the state that is meant
 * @throws Fault release/rollout-failed with each reason
 */
export function requireHealthy(
  rollouts: readonly RolloutView[],
  wanted: readonly Followed[],
  good: 'healthy' | 'removed' = 'healthy',
): void {
  const bad = rollouts.flatMap(({ state, steps }, index) =>
    state === good ? [] : [{ ...wanted[index]!, why: steps.at(-1)?.why ?? state }],
  );
  if (bad.length === 0) return;
  const [first] = bad;
  throw new Fault(
    'release/rollout-failed',
    `${count(bad.length, 'rollout')} ${good === 'healthy' ? 'did not become healthy' : 'did not take out what it should'}`,
    {
      notes: bad.map(({ service, environment, why }) => `${service} in ${environment}: ${why}`),
      next: `see every step: banksman history ${first?.service} --env ${first?.environment}`,
    },
  );
}
