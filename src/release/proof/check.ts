import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Environment } from '../../graph/index.ts';
import {
  type Check,
  type Policy,
  ProofFault,
  readPolicy,
  refusal,
  type Verdict,
  verifyImage,
} from '../../image/index.ts';
import type { ManifestDocument } from '../../manifest/index.ts';
import { type Progress, silent } from '../../progress/index.ts';
import { type RegistryReach, reachOf } from '../push.ts';
import type { ProofRecord, Release } from '../types.ts';
import { imagesIn } from './images.ts';

export interface ProofCheck extends RegistryReach {
  readonly environment: Environment;
  /** Folder that the policy's path is relative to. */
  readonly workspaceRoot: string;
  /** Why this is to go on although the images do not fulfil the policy. */
  readonly breakGlass?: string | undefined;
  readonly progress?: Progress;
  readonly signal?: AbortSignal | undefined;
}

/** What a release would bring in: its objects, and the digests that its own images have. */
export interface Checked {
  readonly images: Release['images'];
  readonly documents: readonly ManifestDocument[];
}

/** Characters of a reason that says something. */
const leastReason = 10;
const breakGlassHint = 'in an emergency, --break-glass "REASON" goes on and is kept in the history';
/** Images asked for at a time. */
const atOnce = 4;

/** Whether an environment takes only what fulfils a policy. */
export function policyOf({ gates = [] }: Environment): string | undefined {
  return gates.find((gate) => gate.kind === 'provenance')?.policy;
}

/**
 * Holds releases against their environment's policy: every image that their objects name, also those of others. All of them must
 * fulfil it, or none goes in.
 *
 * @returns what is to be remembered of each, in their order; undefined where the environment has no policy
 * @throws ProofFault proof/refused with each image that does not fulfil it, unless the policy only audits or there is a reason to go
 *   on; proof/bad-policy; proof/bad-key
 */
export async function checkProofs(
  releases: readonly Checked[],
  check: ProofCheck,
): Promise<readonly (ProofRecord | undefined)[]> {
  const file = policyOf(check.environment);
  if (file === undefined) return releases.map(() => undefined);
  const reason = reasonOf(check.breakGlass);
  const path = join(check.workspaceRoot, file);
  const policy = await readPolicy(path, file);
  const sum = createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
  const verdicts = await verifyReleases(releases, policy, check);
  const outcomes = releases.map((release) => {
    const own = imagesOf(release).map(({ reference }) => verdicts.get(reference)!);
    const missing = own.filter((verdict) => !verdict.passed);
    return { own, missing, told: tellMissing(missing) };
  });
  const refused = [...new Set(outcomes.flatMap(({ missing }) => missing))];
  if (refused.length > 0 && policy.mode === 'enforce' && reason === undefined) {
    throw refuse(refused, policy, check.environment);
  }
  for (const line of tellMissing(refused)) {
    const why = policy.mode === 'audit' ? 'audit only' : 'glass broken';
    check.progress?.say(`warning: ${line} (${why}: ${file})`);
  }
  return outcomes.map(({ own, missing, told }): ProofRecord => {
    const commits = new Set(own.flatMap(({ commit }) => commit ?? []));
    const approvers = new Set(own.flatMap((verdict) => verdict.approvers));
    return {
      policy: file,
      policySum: sum,
      outcome: missing.length === 0 ? 'passed' : policy.mode === 'audit' ? 'audited' : 'broken-glass',
      ...(missing.length > 0 && policy.mode === 'enforce' && { reason }),
      ...(told.length > 0 && { missing: told }),
      ...(commits.size > 0 && { commits: [...commits].sort() }),
      ...(approvers.size > 0 && { approvers: [...approvers].sort() }),
    };
  });
}

/** Every image of some releases against a policy, by its reference. What can't be found out does not pass. */
export async function verifyReleases(
  releases: readonly Checked[],
  policy: Policy,
  check: RegistryReach & Pick<ProofCheck, 'progress' | 'signal'>,
): Promise<ReadonlyMap<string, Verdict>> {
  const waiting = [...new Map(releases.flatMap(imagesOf).map((image) => [image.reference, image])).values()];
  const verdicts = new Map<string, Verdict>();
  const { progress = silent, signal } = check;
  const task = progress.begin(`verify ${waiting.length} ${waiting.length === 1 ? 'image' : 'images'}`);
  const worker = async () => {
    for (let image = waiting.shift(); image !== undefined; image = waiting.shift()) {
      const { reference, digest } = image;
      const access = await reachOf(reference, check);
      const verdict = await verifyImage({ reference, digest, policy, ...access, signal });
      verdicts.set(reference, digest === undefined ? pinned(verdict) : verdict);
    }
  };
  try {
    await Promise.all(Array.from({ length: atOnce }, worker));
    task.done();
  } catch (error) {
    task.fail();
    throw error;
  }
  return verdicts;
}

/** What is looked at must be what runs: an image that the release did not make is named by its digest. */
function pinned(verdict: Verdict): Verdict {
  const { reference, digest } = verdict;
  if (!verdict.passed || reference.includes('@sha256:')) return verdict;
  const check: Check = {
    name: 'found',
    passed: false,
    message: 'its tag could name another image tomorrow',
    next: `name it by label, or as ${reference}@${digest}`,
  };
  return { ...verdict, passed: false, checks: [check] };
}

/** The release's own images by the digest that was built; those of others by what their names say. */
function imagesOf({ images, documents }: Checked): { reference: string; digest: string | undefined }[] {
  const own = new Map(images.map(({ reference, digest }) => [reference, digest]));
  return [...new Set([...own.keys(), ...imagesIn(documents)])].map((reference) => ({
    reference,
    digest: own.get(reference),
  }));
}

function refuse(refused: readonly Verdict[], policy: Policy, environment: Environment): ProofFault {
  const [first, ...others] = refused.map((verdict) => refusal(verdict, policy));
  const gate = environment.gates?.find(({ kind }) => kind === 'provenance');
  const { message, notes, next } = first!;
  return new ProofFault('proof/refused', `${message}`, {
    place: gate?.place,
    notes: [...notes, `nothing was changed in ${environment.name}`, breakGlassHint],
    next,
    others,
  });
}

/** A line for each check that did not pass. */
export function tellMissing(verdicts: readonly Verdict[]): string[] {
  return verdicts.flatMap(({ reference, checks }) =>
    checks.filter(({ passed }) => !passed).map(({ name, message }) => `${shown(reference)}: ${name}: ${message}`),
  );
}

/** The digest behind a tag is for machines. */
function shown(reference: string): string {
  return reference.replace(/(:[^@/]+)@sha256:[0-9a-f]{64}$/, '$1');
}

function reasonOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const reason = text.trim();
  if (reason.length >= leastReason) return reason.slice(0, 1000);
  throw new ProofFault('proof/refused', `breaking the glass needs a reason of at least ${leastReason} characters`, {
    next: 'say why it can not wait: --break-glass "payments fail since 10:04, fix of ABC-12"',
  });
}
