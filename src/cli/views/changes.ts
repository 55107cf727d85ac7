import type { Paint } from '../terminal.ts';
import { shortRelease } from './rollouts.ts';

export interface ReleaseView {
  readonly id: string;
  readonly order: number;
  readonly commit: string;
  readonly authors: readonly string[];
  readonly madeAt: string;
}

/** What the server says of a preview or a difference. */
export interface ChangesView {
  readonly from?: ReleaseView;
  readonly to: ReleaseView;
  readonly releases: readonly ReleaseView[];
  readonly against?: 'cluster' | 'release';
  readonly note?: string;
  readonly unchanged?: number;
  readonly objects: readonly {
    readonly kind: string;
    readonly name: string;
    readonly change: 'added' | 'changed' | 'removed';
    readonly fields: readonly { readonly path: string; readonly before?: string; readonly after?: string }[];
  }[];
}

/** Releases with commits and authors between, then object by object what differs. */
export function changesLines(
  { from, to, releases, against, note, unchanged, objects }: ChangesView,
  paint: Paint,
): string[] {
  const lines = [`${from === undefined ? 'nothing' : named(from)} -> ${named(to)}`];
  for (const release of releases) {
    lines.push(
      `  ${paint.faint(release.madeAt)}  commit ${release.commit.slice(0, 10)}  ${release.authors.join(', ')}`,
    );
  }
  if (note !== undefined) lines.push(`${paint.warn('note')}: ${note}; what is written is compared`);
  else if (against === 'release') lines.push(paint.faint('compared as they are written, without the cluster'));
  lines.push(...objectLines(objects, unchanged, paint));
  return lines;
}

/** Object by object, field by field. */
export function objectLines(objects: ChangesView['objects'], unchanged: number | undefined, paint: Paint): string[] {
  const lines: string[] = [];
  for (const { kind, name, change, fields } of objects) {
    const mark = change === 'added' ? paint.good('+') : change === 'removed' ? paint.bad('-') : paint.warn('~');
    lines.push(`${mark} ${kind}/${name}`);
    for (const { path, before, after } of fields) {
      lines.push(
        `    ${path}: ${before === undefined ? '' : paint.bad(before)} -> ${after === undefined ? 'left out' : paint.good(after)}`.replace(
          ':  ->',
          ': ->',
        ),
      );
    }
  }
  if (objects.length === 0) lines.push('no object differs');
  else if (unchanged !== undefined && unchanged > 0) lines.push(paint.faint(`  ${unchanged} unchanged`));
  return lines;
}

function named({ id, order, commit }: ReleaseView): string {
  return `release ${shortRelease(id)} (${order}, commit ${commit.slice(0, 10)})`;
}
