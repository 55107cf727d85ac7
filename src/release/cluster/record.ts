import { createHash } from 'node:crypto';
import type { Label } from '../../graph/index.ts';
import { ReleaseFault } from '../fault.ts';
import type { Release, Rollout, RolloutResult } from '../types.ts';

/** Everything that is remembered of a service in an environment. */
export interface ServiceRecord {
  readonly service: Label;
  /** In the order in which they were first released. */
  readonly releases: readonly Release[];
  /** In the order in which they began. */
  readonly rollouts: readonly Rollout[];
  /** Kinds of the objects that are there, as an ApplySet names them. */
  readonly kinds: readonly string[];
  /** Who is changing objects now. */
  readonly lease: Lease | undefined;
}

export interface Lease {
  readonly holder: string;
  /** RFC 3339. Past that time its holder counts as dead. */
  readonly until: string;
}

/** Releases and rollouts that are kept. */
const kept = 20;

export function emptyRecord(service: Label): ServiceRecord {
  return { service, releases: [], rollouts: [], kinds: [], lease: undefined };
}

/** A release's name: the same content has the same name, whoever makes it and whenever. */
export function releaseId(content: Pick<Release, 'service' | 'manifests' | 'images'>): string {
  const images = content.images.map(({ label, reference, digest }) => [label, reference, digest]);
  return createHash('sha256')
    .update(JSON.stringify([content.service, content.manifests, images]))
    .digest('hex');
}

/** The rollout that was begun last. */
export function lastRollout(record: ServiceRecord): Rollout | undefined {
  return record.rollouts.at(-1);
}

export function findRelease(record: ServiceRecord, id: string): Release | undefined {
  return record.releases.find((release) => release.id === id);
}

/**
 * Begins a rollout: one that was under way is superseded by it.
 *
 * @param release undefined where it brings none in: a removal
 */
export function beginRollout(record: ServiceRecord, release: Release | undefined, rollout: Rollout): ServiceRecord {
  const rollouts = [
    ...record.rollouts.map(
      (earlier): Rollout =>
        earlier.result === 'progressing' ? { ...earlier, result: 'superseded', endedAt: rollout.startedAt } : earlier,
    ),
    rollout,
  ];
  const isKnown = release === undefined || findRelease(record, release.id) !== undefined;
  const releases = isKnown ? record.releases : [...record.releases, release];
  return trim({ ...record, releases, rollouts });
}

/** Ends a rollout, unless another one has ended it already. */
export function endRollout(
  record: ServiceRecord,
  id: string,
  end: { readonly result: RolloutResult; readonly reason?: string | undefined; readonly endedAt: string },
): ServiceRecord {
  const rollouts = record.rollouts.map(
    (rollout): Rollout => (rollout.id === id && rollout.result === 'progressing' ? { ...rollout, ...end } : rollout),
  );
  return { ...record, rollouts };
}

/** What was applied last; undefined where it was removed since. */
export function appliedRelease(record: ServiceRecord): string | undefined {
  const last = lastRollout(record);
  return last?.result === 'removed' ? undefined : last?.release;
}

/** A newer rollout of another release has begun. */
export function isSuperseded(record: ServiceRecord, rollout: Pick<Rollout, 'id' | 'release'>): boolean {
  const last = lastRollout(record);
  return last !== undefined && last.id !== rollout.id && (last.release !== rollout.release || last.kind === 'removal');
}

/**
 * Takes the right to change the service's objects, or renews it.
 *
 * @param now milliseconds since the epoch
 * @param duration milliseconds
 * @returns undefined where another holder has it
 */
export function takeLease(
  record: ServiceRecord,
  holder: string,
  now: number,
  duration: number,
): ServiceRecord | undefined {
  const { lease } = record;
  if (lease !== undefined && lease.holder !== holder && Date.parse(lease.until) > now) return undefined;
  return { ...record, lease: { holder, until: new Date(now + duration).toISOString() } };
}

export function dropLease(record: ServiceRecord, holder: string): ServiceRecord {
  return record.lease?.holder === holder ? { ...record, lease: undefined } : record;
}

/**
 * The release that a rollback goes to: the one that was healthy last, other than what is applied now, and not one that was
 * itself rolled back from since it was healthy. So a second rollback goes further back, never forth again.
 *
 * @throws ReleaseFault release/never-deployed, release/no-good-release
 */
export function rollbackTarget(record: ServiceRecord): Release {
  const last = lastRollout(record);
  if (last === undefined) throw neverDeployed(record.service);
  const leftAt = new Map<string, number>();
  const goodAt = new Map<string, number>();
  record.rollouts.forEach(({ kind, from, release, result }, index) => {
    if (kind === 'rollback' && from !== undefined) leftAt.set(from, index);
    if (result === 'healthy') goodAt.set(release, index);
  });
  // The place of a release in time is where it was last deployed: going back to it does not make it newer.
  const deployedAt = new Map<string, number>();
  record.rollouts.forEach(({ kind, release, result }, index) => {
    if (result === 'healthy' && (kind === 'deploy' || !deployedAt.has(release))) deployedAt.set(release, index);
  });
  const candidates = [...goodAt.keys()]
    .filter((id) => (id !== last.release || last.kind === 'removal') && (leftAt.get(id) ?? -1) < (goodAt.get(id) ?? 0))
    .sort((a, b) => (deployedAt.get(b) ?? 0) - (deployedAt.get(a) ?? 0));
  const target = candidates.map((id) => findRelease(record, id)).find((release) => release !== undefined);
  if (target !== undefined) return target;
  throw new ReleaseFault('release/no-good-release', `${record.service} has no earlier release that was healthy`, {
    next: 'name a release with --to; `banksman history` lists them',
  });
}

/**
 * A release by its id or the beginning of one.
 *
 * @throws ReleaseFault release/unknown-release
 */
export function releaseNamed(record: ServiceRecord, text: string): Release {
  const found = record.releases.filter(({ id }) => id.startsWith(text));
  const [release] = found;
  if (release !== undefined && found.length === 1 && text.length >= 4) return release;
  const why =
    found.length > 1
      ? `${text} is the beginning of ${found.length} releases`
      : `${record.service} has no release ${text}`;
  throw new ReleaseFault('release/unknown-release', why, {
    next: 'give at least its first 12 digits; `banksman history` lists them',
  });
}

export function neverDeployed(service: Label): ReleaseFault {
  return new ReleaseFault('release/never-deployed', `${service} was never deployed here`, {
    next: `deploy it: banksman deploy ${service}`,
  });
}

/** Keeps the newest, and whatever a rollback could need: the release that is applied and the last healthy ones. */
function trim(record: ServiceRecord): ServiceRecord {
  const rollouts = record.rollouts.slice(-kept);
  const healthy = new Map<string, Rollout>();
  for (const rollout of record.rollouts.toReversed()) {
    if (rollout.result === 'healthy' && healthy.size < 3 && !healthy.has(rollout.release)) {
      healthy.set(rollout.release, rollout);
    }
  }
  const all = [...new Set([...healthy.values(), ...rollouts])].sort(
    (a, b) => record.rollouts.indexOf(a) - record.rollouts.indexOf(b),
  );
  const named = new Set(all.map(({ release }) => release));
  return { ...record, rollouts: all, releases: record.releases.filter(({ id }) => named.has(id)) };
}
