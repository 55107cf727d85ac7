import { type Fault, isFault } from '../../fault/index.ts';
import type { Environment } from '../../graph/index.ts';
import type { ReleaseContent } from '../artifact/index.ts';
import type { ProvenanceVerdict } from '../gates/index.ts';
import type { CheckProvenance, KnownRelease } from '../placement/index.ts';
import type { RegistryReach } from '../push.ts';
import { renderBundle } from '../render.ts';
import { policyOf, tellMissing, verifyReleases } from './check.ts';
import type { PinnedPolicy } from './policies.ts';

export interface ProvenanceCheckOptions {
  /** What environments ask for, by the path that they name it by. */
  readonly policies: ReadonlyMap<string, PinnedPolicy>;
  readonly fetchRelease: (reference: string, signal: AbortSignal) => Promise<ReleaseContent>;
  /** How an environment's registry is reached. */
  readonly reach: (environment: Environment) => Promise<RegistryReach>;
  /** Milliseconds since some moment: how old an answer is. */
  readonly clock?: () => number;
}

type Found = Omit<ProvenanceVerdict, 'at'>;

/** Milliseconds that an answer is good for: what was signed stays so for long, what is missing may come at any time. */
const goodFor = { passed: 300_000, refused: 10_000 };
/** Milliseconds for one check. */
const patience = 60_000;
/** Answers that are kept. */
const kept = 10_000;

/**
 * Holds releases against policies by asking the registry, and keeps each answer for a while: gates are looked at often. Several who ask
 * at once ask the registry once. What can't be found out does not pass.
 */
export function provenanceCheck(options: ProvenanceCheckOptions): CheckProvenance {
  const { policies, clock = performance.now.bind(performance) } = options;
  const answers = new Map<string, { until: number; readonly found: Promise<Found> }>();
  return async (environment, release) => {
    const file = policyOf(environment);
    const pinned = file === undefined ? undefined : policies.get(file);
    if (pinned === undefined) return undefined;
    const key = `${environment.name} ${release.id}`;
    const known = answers.get(key);
    if (known !== undefined && clock() < known.until) return await known.found;
    const answer = { until: clock() + patience, found: find(environment, release, pinned, options) };
    if (answers.size >= kept) answers.delete(answers.keys().next().value as string);
    answers.delete(key);
    answers.set(key, answer);
    const found = await answer.found;
    answer.until = clock() + (found.verified ? goodFor.passed : goodFor.refused);
    return found;
  };
}

/** Whoever asks may go away: the answer is for all who ask, so it has a time of its own. */
async function find(
  environment: Environment,
  release: KnownRelease,
  { policy, sum }: PinnedPolicy,
  { fetchRelease, reach }: ProvenanceCheckOptions,
): Promise<Found> {
  const about = { release: release.id, policy: policy.file, policySum: sum };
  const signal = AbortSignal.timeout(patience);
  try {
    const content = await fetchRelease(release.reference, signal);
    const images = content.images.map(({ label, repository, tag, digest }) => {
      return { label, reference: `${environment.registry}/${repository}:${tag}@${digest}`, digest };
    });
    const { documents } = renderBundle(content.bundle, content.images, environment);
    const verdicts = await verifyReleases([{ images, documents }], policy, { ...(await reach(environment)), signal });
    const missing = [...verdicts.values()].filter(({ passed }) => !passed);
    if (missing.length === 0) {
      const count = verdicts.size === 1 ? '1 image passes' : `${verdicts.size} images pass`;
      return { ...about, verified: true, reason: `${count} ${policy.file}` };
    }
    const told = tellMissing(missing);
    const more = told.length > 3 ? `; and ${told.length - 3} more` : '';
    const reason = `${told.slice(0, 3).join('; ')}${more}`;
    if (policy.mode === 'audit') return { ...about, verified: true, reason: `audit only: ${reason}` };
    return { ...about, verified: false, reason };
  } catch (error) {
    const reason = isFault(error)
      ? (error as Fault).message
      : signal.aborted
        ? 'the registry did not answer in time'
        : undefined;
    if (reason === undefined) throw error;
    return { ...about, verified: false, reason };
  }
}
