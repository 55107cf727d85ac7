import type { Paint } from '../terminal.ts';

interface Answer {
  readonly gate: string;
  readonly holds: boolean;
  readonly reason: string;
  readonly since?: string;
  readonly opens?: string;
}

/** What `GET .../why` of the server answers. */
export interface Why {
  readonly release?: { readonly id: string; readonly order: number };
  readonly rollout?: { readonly id: string; readonly by: string; readonly kind: string; readonly due: string };
  readonly answers: readonly Answer[];
  readonly open: boolean;
  readonly held: readonly { readonly id: string; readonly by: string; readonly why: string; readonly at: string }[];
}

/** One line for each gate: holds or not, since when, and what would open it. */
export function whyLines({ release, rollout, answers, open, held }: Why, paint: Paint): string[] {
  if (release === undefined) return ['there is no release of it yet: banksman release'];
  const lines = [`release ${release.id.replace('sha256:', '').slice(0, 12)}${waits(rollout)}`];
  const width = Math.max(0, ...answers.map(({ gate }) => gate.length));
  for (const { gate, holds, reason, since, opens } of answers) {
    const mark = holds ? paint.good('holds') : paint.bad('shut ');
    const when = since === undefined ? '' : paint.faint(`  since ${since}`);
    lines.push(`  ${mark}  ${gate.padEnd(width)}  ${reason}${when}`);
    if (!holds && opens !== undefined) lines.push(`         ${' '.repeat(width)}  opens by: ${opens}`);
  }
  if (answers.length === 0) lines.push('  it has to pass no gate');
  for (const { id, by, why, at } of held) {
    lines.push(`  ${paint.warn('held')}   automatic rollouts, by ${by} since ${at}: ${why}  (${id})`);
  }
  if (open && rollout !== undefined) lines.push('  every gate holds');
  return lines;
}

function waits(rollout: Why['rollout']): string {
  if (rollout === undefined) return ', not asked for';
  return `, ${rollout.kind} ${rollout.id} of ${rollout.by} waits until ${rollout.due} at the latest`;
}
