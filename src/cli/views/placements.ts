import type { Paint } from '../terminal.ts';
import { paintState, shortRelease } from './rollouts.ts';

/** What the server's lists show of a service in an environment. */
export interface PlacementView {
  readonly service: string;
  readonly kind: 'service' | 'infrastructure';
  readonly owner?: string;
  readonly newest: { readonly id: string; readonly order: number; readonly commit: string };
  readonly state: string;
  readonly live?: {
    readonly release: { readonly id: string; readonly order: number; readonly commit?: string };
    readonly by: string;
    readonly kind: string;
    readonly since: string;
  };
  readonly behind?: number;
  readonly gone?: { readonly commit: string; readonly at: string };
  readonly removed?: { readonly by: string; readonly since: string };
  readonly open: readonly OpenView[];
  readonly held: readonly HoldView[];
}

export interface OpenView {
  readonly rollout: string;
  readonly release: { readonly id: string; readonly order: number };
  readonly kind: string;
  readonly by: string;
  readonly state: string;
  readonly since: string;
  readonly due: string;
  readonly shut: readonly string[];
}

export interface HoldView {
  readonly id: string;
  readonly by: string;
  readonly why: string;
  readonly at: string;
  readonly until?: string;
  readonly upTo?: number;
}

/** What runs, since when, of which commit; below it what is under way or waits, and what holds it. */
export function placementLines(placements: readonly PlacementView[], paint: Paint): string[] {
  const width = Math.max(0, ...placements.map(({ service }) => service.length));
  return placements.flatMap(({ service, kind, state, live, behind = 0, removed, gone, open, held }) => [
    [
      service.padEnd(width),
      paintState(state, paint, 'progressing'.length),
      ...(live === undefined
        ? []
        : [
            `release ${shortRelease(live.release.id)} (${live.release.order})`,
            paint.faint(`since ${live.since}${commitText(live.release.commit)}  by ${live.by}`),
          ]),
      ...(removed === undefined ? [] : [paint.faint(`since ${removed.since}  by ${removed.by}`)]),
      ...(behind > 0 ? [`${behind} newer`] : []),
      ...(gone === undefined ? [] : [paint.warn(`not in the workspace since commit ${gone.commit.slice(0, 10)}`)]),
      ...(kind === 'infrastructure' ? [paint.faint('infrastructure')] : []),
    ].join('  '),
    ...open.map((each) => `  ${openLine(each, paint)}`),
    ...held.map((each) => `  ${holdLine(each, paint)}`),
  ]);
}

export function openLine({ rollout, release, kind, by, state, due, shut }: OpenView, paint: Paint): string {
  const waits = shut.length === 0 ? '' : `  waits for ${shut.join(', ')}`;
  const told = `by ${by}, until ${due} at the latest  rollout ${rollout}`;
  return `${paintState(state, paint)}  ${kind} of release ${shortRelease(release.id)} (${release.order})${waits}  ${paint.faint(told)}`;
}

export function holdLine({ id, by, why, at, until, upTo }: HoldView, paint: Paint): string {
  const which = upTo === undefined ? 'all releases' : `releases up to ${upTo}`;
  const end = until === undefined ? '' : ` until ${until}`;
  return `${paint.warn('held')}  ${which}${end}, by ${by} since ${at}: ${why}  ${paint.faint(`(${id})`)}`;
}

function commitText(commit: string | undefined): string {
  return commit === undefined ? '' : `  commit ${commit.slice(0, 10)}`;
}
