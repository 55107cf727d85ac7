import type { Paint } from '../terminal.ts';
import { type ChangesView, objectLines, type ReleaseView } from './changes.ts';
import { shortRelease } from './rollouts.ts';

interface ObjectName {
  readonly kind: string;
  readonly name: string;
}

/** What the server says of a removal before it is asked for. */
export interface RemovalView {
  readonly release: { readonly id: string; readonly order: number };
  readonly gates: readonly string[];
  readonly goes: readonly ObjectName[];
  readonly precious: readonly (ObjectName & {
    readonly loses: string;
    readonly goesWith?: string;
    readonly others: readonly string[];
  })[];
  readonly note?: string;
  readonly replacement?: {
    readonly service: string;
    readonly release?: ReleaseView;
    readonly takesOver: readonly ObjectName[];
    readonly objects: ChangesView['objects'];
    readonly unchanged: number;
  };
}

export function nameOf({ kind, name }: ObjectName): string {
  return `${kind}/${name}`;
}

/**
 * What goes, what stays, and what takes its place.
 *
 * @param agreed names of what a person said yes to already
 */
export function removalLines(
  { release, gates, goes, precious, note, replacement }: RemovalView,
  {
    service,
    environment,
    agreed,
  }: { readonly service: string; readonly environment: string; readonly agreed: readonly string[] },
  paint: Paint,
): string[] {
  const lines = [`${service} goes out of ${environment}: release ${shortRelease(release.id)} (${release.order})`];
  if (note !== undefined) lines.push(`${paint.warn('note')}: ${note}`);
  lines.push(...goes.map((object) => `${paint.bad('-')} ${nameOf(object)}`));
  for (const { loses, goesWith, others, ...object } of precious) {
    const name = nameOf(object);
    const holds = others.length === 0 ? '' : `; it holds ${others.join(', ')} too`;
    const with_ = goesWith === undefined ? '' : `; ${goesWith} deletes it with itself`;
    lines.push(
      agreed.includes(name)
        ? `${paint.bad('-')} ${name}, with ${loses}`
        : `${paint.good('=')} ${name} stays: it needs a yes of its own (--delete ${name}), since ${loses} would be lost${with_}${holds}`,
    );
  }
  if (goes.length + precious.length === 0) lines.push('no object is left of it');
  if (replacement !== undefined) {
    const { service: next, release: to, takesOver, objects, unchanged } = replacement;
    lines.push(
      to === undefined
        ? `${next} takes its place: it is healthy there already`
        : `${next} takes its place: release ${shortRelease(to.id)} (${to.order}, commit ${to.commit.slice(0, 10)}) is brought in before`,
      ...takesOver.map((object) => `${paint.good('=')} ${nameOf(object)} goes on under the new name`),
      ...(to === undefined ? [] : objectLines(objects, unchanged, paint)),
    );
  }
  if (gates.length > 0) lines.push(`it waits for: ${gates.join(', ')}`);
  return lines;
}
