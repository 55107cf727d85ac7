import type { Paint } from '../terminal.ts';

/** A rollout as the server shows it. */
export interface RolloutView {
  readonly id: string;
  readonly release: { readonly id: string; readonly order: number };
  readonly kind: string;
  readonly by: string;
  readonly why?: string;
  readonly emergency?: string;
  readonly state: string;
  readonly due: string;
  readonly steps: readonly { readonly state: string; readonly at: string; readonly why?: string }[];
  readonly notes?: readonly { readonly at: string; readonly text: string }[];
  readonly commit?: string;
  readonly authors?: readonly string[];
  /** Of a removal: what a person agreed to delete, and what takes its place. */
  readonly deletes?: readonly string[];
  readonly replacedBy?: string;
}

/** The first 12 digits of a release's name. */
export function shortRelease(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, 12);
}

/** A state in the colour that says how it went. */
export function paintState(state: string, paint: Paint, width = 0): string {
  const text = state.padEnd(width);
  if (state === 'healthy' || state === 'removed') return paint.good(text);
  if (state === 'failed') return paint.bad(text);
  if (['planned', 'gated', 'applying', 'progressing', 'verifying'].includes(state)) return paint.warn(text);
  return text;
}

/** A rollout with every step: who asked for what, when it was where, and why. */
export function historyLines(rollout: RolloutView, paint: Paint): string[] {
  const { id, release, kind, by, why, emergency, state, steps, notes = [], commit, authors = [] } = rollout;
  const { deletes = [], replacedBy } = rollout;
  const from = commit === undefined ? '' : `  commit ${commit.slice(0, 10)}`;
  const wrote = authors.length === 0 ? '' : ` by ${authors.join(', ')}`;
  const said = [
    ...steps.map((step) => ({
      at: step.at,
      text: `${step.state.padEnd(11)}${step.why === undefined ? '' : `  ${step.why}`}`,
    })),
    ...notes,
  ].toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  return [
    `${paint.strong(kind)} of release ${shortRelease(release.id)} (${release.order})  ${paintState(state, paint)}  asked for by ${by}${paint.faint(`${from}${wrote}  rollout ${id}`)}`,
    ...(why === undefined || steps[0]?.why === why ? [] : [`  why: ${why}`]),
    ...(emergency === undefined ? [] : [`  ${paint.bad('emergency')}: ${emergency}`]),
    ...(replacedBy === undefined ? [] : [`  replaced by: ${replacedBy}`]),
    ...(deletes.length === 0 ? [] : [`  agreed to delete: ${deletes.join(', ')}`]),
    ...said.map(({ at, text }) => `  ${paint.faint(at)}  ${text}`.trimEnd()),
  ];
}
