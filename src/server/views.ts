import type { KnownRelease, model } from '../release/index.ts';

/** Rollouts of a placement that are shown; `earlier` says how many there are beside. */
const shown = 50;

const iso = (time: number) => new Date(time).toISOString();

export function answerView({ since, opensAt, ...answer }: model.GateAnswer) {
  return {
    ...answer,
    ...(since !== undefined && { since: iso(since) }),
    ...(opensAt !== undefined && { opensAt: iso(opensAt) }),
  };
}

export function rolloutView({
  id,
  release,
  kind,
  by,
  why,
  emergency,
  state,
  due,
  from,
  answers,
  steps,
  stage,
  terms,
  notes = [],
  adopt,
  deletesData,
  deletes,
  replacedBy,
}: model.Rollout) {
  return {
    id,
    release,
    kind,
    by,
    ...(why !== undefined && { why }),
    ...(emergency !== undefined && { emergency }),
    state,
    due: iso(due),
    ...(from !== undefined && { from }),
    ...(stage !== undefined && {
      stage: { place: stage + 1, of: terms.stages?.length ?? 0, share: terms.stages?.[stage]?.share ?? 0 },
    }),
    gates: answers.map(answerView),
    steps: steps.map((step) => ({ ...step, at: iso(step.at) })),
    ...(notes.length > 0 && { notes: notes.map((note) => ({ ...note, at: iso(note.at) })) }),
    ...(adopt && { adopt }),
    ...(deletesData && { deletesData }),
    ...(deletes !== undefined && { deletes }),
    ...(replacedBy !== undefined && { replacedBy }),
  };
}

export function holdView({ at, until, ended, ...hold }: model.Hold) {
  return {
    ...hold,
    at: iso(at),
    ...(until !== undefined && { until: iso(until) }),
    ...(ended !== undefined && { ended: { ...ended, at: iso(ended.at) } }),
  };
}

/** The newest first. */
export function placementView(
  { service, environment, rollouts, holds }: model.Placement,
  live: model.Rollout | undefined,
) {
  return {
    service,
    environment,
    ...(live !== undefined && { live: rolloutView(live) }),
    rollouts: rollouts.slice(-shown).toReversed().map(rolloutView),
    holds: holds.slice(-shown).toReversed().map(holdView),
    earlier: Math.max(0, rollouts.length - shown),
  };
}

export function releaseView({ madeAt, ...release }: KnownRelease) {
  return { ...release, madeAt: iso(madeAt) };
}
