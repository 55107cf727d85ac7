import type { Paint } from '../terminal.ts';

/** What `GET .../drift` of the server answers. */
export interface DriftAnswer {
  readonly mode: 'correct' | 'report';
  readonly release?: string;
  readonly objects: readonly {
    readonly kind: string;
    readonly name: string;
    readonly change: 'changed' | 'deleted';
    readonly since: string;
    readonly left?: string;
    readonly fields: readonly {
      readonly path: string;
      readonly wanted?: string;
      readonly found?: string;
      readonly by?: { readonly manager: string; readonly time?: string };
    }[];
  }[];
}

/** A small diff: each field with what the release says, what is there, and who holds it. */
export function driftLines({ mode, release, objects }: DriftAnswer, paint: Paint): string[] {
  if (objects.length === 0) return ['nothing differs from the release'];
  const lines = [
    `${objects.length === 1 ? '1 object differs' : `${objects.length} objects differ`} from release ${short(release)}` +
      ` (drift: ${mode})`,
  ];
  for (const { kind, name, change, since, left, fields } of objects) {
    const what = change === 'deleted' ? paint.bad('was deleted') : 'was changed';
    lines.push(`${kind}/${name} ${what}${paint.faint(`  since ${since}`)}`);
    for (const { path, wanted, found, by } of fields) {
      const who = by === undefined ? '' : `  by ${by.manager}${by.time === undefined ? '' : ` at ${by.time}`}`;
      lines.push(`  ${path}${paint.faint(who)}`);
      if (wanted !== undefined) lines.push(paint.bad(`    - ${wanted}`));
      if (found !== undefined) lines.push(paint.good(`    + ${found}`));
    }
    if (left !== undefined) lines.push(`  left: ${left}`);
  }
  return lines;
}

function short(release: string | undefined): string {
  return (release ?? '').replace('sha256:', '').slice(0, 12);
}
