import { isFault } from '../../fault/index.ts';
import type { RegistryAccessOptions } from '../client/endpoints.ts';
import { nameIn } from '../client/push.ts';
import type { Digest } from '../digest.ts';
import { hexOf } from '../digest.ts';
import { ImageFault } from '../fault.ts';
import { parseReference } from '../names.ts';
import { collectProofs } from './collect.ts';
import { ProofFault } from './fault.ts';
import type { PublicKey } from './keys/public-key.ts';
import type { Policy } from './policy.ts';
import type { Collected, Proof } from './proof.ts';
import { buildType, type ReadProvenance, readProvenance } from './provenance.ts';
import { openProofRepository } from './referrers.ts';
import { otherEyes, type Review, readReview } from './review.ts';
import { predicateTypes, type Statement } from './statement.ts';

/** One thing that a policy asks for, and how it stands. */
export interface Check {
  readonly name: 'found' | 'signature' | 'provenance' | 'sbom' | 'review';
  readonly passed: boolean;
  /** What was found, or why it does not do. */
  readonly message: string;
  /** What to do where it does not do. */
  readonly next?: string | undefined;
}

/** How an image stands to a policy. */
export interface Verdict {
  /** As it was asked for. */
  readonly reference: string;
  /** What the reference names; undefined where that could not be found out. */
  readonly digest: Digest | undefined;
  readonly passed: boolean;
  readonly checks: readonly Check[];
  /** The commit that it was built of, as a provenance says that fulfils the policy. */
  readonly commit: string | undefined;
  /** Who approved that commit, where the policy asks for a review that was found. */
  readonly approvers: readonly string[];
}

export interface VerifyRequest extends RegistryAccessOptions {
  readonly reference: string;
  /** What the reference must name; an error where it names something else. */
  readonly digest?: string | undefined;
  readonly policy: Policy;
}

/**
 * Holds an image against a policy. What can't be found out counts as missing: a registry that does not answer, a bundle that
 * can't be read, a statement of an unknown kind prove nothing.
 */
export async function verifyImage(request: VerifyRequest): Promise<Verdict> {
  const { reference, policy, signal } = request;
  let digest: Digest | undefined;
  let collected: Collected;
  try {
    const parsed = parseReference(reference);
    const remote = await openProofRepository(parsed, 'pull', request);
    try {
      const found = await remote.head(nameIn(parsed));
      if (found === undefined)
        throw new ImageFault('image/registry-not-found', `the registry does not have ${reference}`);
      for (const meant of [request.digest, parsed.digest]) {
        if (meant === undefined || meant === found.digest) continue;
        throw new ImageFault('image/wrong-content', `${reference} is ${found.digest} in the registry, not ${meant}`);
      }
      digest = found.digest;
      collected = await collectProofs(remote, digest);
    } finally {
      remote.close();
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (!isFault(error)) throw error;
    const check: Check = { name: 'found', passed: false, message: error.message, next: error.next };
    return { reference, digest, passed: false, checks: [check], commit: undefined, approvers: [] };
  }
  return { reference, digest, ...judge(policy, digest, collected) };
}

/** The decision alone: what was found, against what is asked for. */
export function judge(
  policy: Policy,
  digest: Digest,
  { proofs, unusable }: Collected,
): Omit<Verdict, 'reference' | 'digest'> {
  const found = { policy, digest, proofs, unusable };
  const checks = [checkSignature(found)];
  let commit: string | undefined;
  let approvers: readonly string[] = [];
  if (policy.provenance !== undefined) {
    const provenance = checkProvenance(found, policy.provenance);
    checks.push(provenance.check);
    commit = provenance.commit;
  }
  if (policy.sbom !== undefined) checks.push(checkSbom(found, policy.sbom.signedBy));
  if (policy.review !== undefined) {
    const review = checkReview(found, policy.review, commit);
    checks.push(review.check);
    approvers = review.approvers;
  }
  return { passed: checks.every(({ passed }) => passed), checks, commit, approvers };
}

interface Found extends Collected {
  readonly policy: Policy;
  readonly digest: Digest;
}

/** A statement that a key has signed which may say it. */
interface Said {
  readonly statement: Statement;
  readonly by: readonly string[];
}

function checkSignature(found: Found): Check {
  const { signedBy } = found.policy;
  // An attestation is about the image too, but only a signature says that it is meant to be used.
  const said = saidBy(found, signedBy, predicateTypes.signature).filter((each) =>
    isAbout(each.statement, found.digest),
  );
  if (said.length > 0) return passed('signature', `signed by ${namesOf(said)}`);
  return failed(
    'signature',
    `no signature of ${anyOf(signedBy)}${hints(found)}`,
    'sign it where it is built: banksman image sign',
  );
}

function checkProvenance(
  found: Found,
  rule: NonNullable<Policy['provenance']>,
): { check: Check; commit?: string | undefined } {
  const said = saidBy(found, rule.signedBy, predicateTypes.provenance).filter((each) =>
    isAbout(each.statement, found.digest),
  );
  if (said.length === 0) {
    const message = `no provenance signed by ${anyOf(rule.signedBy)}${hints(found)}`;
    return { check: failed('provenance', message, 'state where it comes from: banksman image attest') };
  }
  const reasons: string[] = [];
  for (const { statement, by } of said) {
    const provenance = readProvenance(statement);
    const why = provenance === undefined ? 'it is not in the form of SLSA v1' : whyNot(provenance, rule);
    if (why === undefined && provenance !== undefined) {
      const { builder, commit } = provenance;
      const of = commit === undefined ? '' : ` of commit ${commit.slice(0, 12)}`;
      return { check: passed('provenance', `built by ${builder}${of}, says ${by.join(', ')}`), commit };
    }
    if (why !== undefined) reasons.push(why);
  }
  const message = `no provenance fulfils the policy: ${[...new Set(reasons)].join('; ')}`;
  return { check: failed('provenance', message, 'deploy what the builder of the policy made of a commit') };
}

/** Why a provenance does not do; undefined where it does. */
function whyNot(provenance: ReadProvenance, rule: NonNullable<Policy['provenance']>): string | undefined {
  const { builder, workspace, source, commit, edits } = provenance;
  if (provenance.buildType !== buildType) return `its build type ${provenance.buildType} is not known here`;
  if (!rule.builders.includes(builder)) return `it was built by ${builder}`;
  if (rule.workspaces !== undefined && !rule.workspaces.includes(workspace ?? ''))
    return `it is of the workspace ${workspace ?? 'unknown'}`;
  if (rule.sources !== undefined && !rule.sources.includes(source ?? '')) return `its source is ${source ?? 'unknown'}`;
  if (commit === undefined) return 'it names no commit';
  if (edits && !rule.edits) return `files differed from commit ${commit.slice(0, 12)}`;
  if (rule.reproducible && !provenance.reproducible) return 'another build of it may be other bytes';
  return undefined;
}

function checkSbom(found: Found, signedBy: readonly string[]): Check {
  const said = saidBy(found, signedBy, predicateTypes.sbom).filter((each) => isAbout(each.statement, found.digest));
  if (said.some(({ statement }) => statement.predicate.bomFormat === 'CycloneDX')) {
    return passed('sbom', `the bill of materials is signed by ${namesOf(said)}`);
  }
  return failed(
    'sbom',
    `no bill of materials signed by ${anyOf(signedBy)}${hints(found)}`,
    'make one: banksman image attest',
  );
}

function checkReview(
  found: Found,
  rule: NonNullable<Policy['review']>,
  commit: string | undefined,
): { check: Check; approvers: readonly string[] } {
  if (commit === undefined) {
    return { check: failed('review', 'no provenance says which commit was built'), approvers: [] };
  }
  const short = commit.slice(0, 12);
  const reviews = saidBy(found, rule.signedBy, predicateTypes.review)
    .map(({ statement }) => readReview(statement))
    .filter((review): review is Review => review?.commit === commit);
  if (reviews.length === 0) {
    const message = `no review of commit ${short} signed by ${anyOf(rule.signedBy)}${hints(found)}`;
    const next = 'have the commit reviewed, and its review attached: banksman review sign';
    return { check: failed('review', message, next), approvers: [] };
  }
  // Of several reviews the one with the most approvals counts. They are not added up: each names all that its signer knows.
  const [best = []] = reviews.map(otherEyes).sort((a, b) => b.length - a.length);
  if (best.length >= rule.approvals) {
    return { check: passed('review', `commit ${short} was approved by ${best.join(', ')}`), approvers: best };
  }
  const has = best.length === 0 ? 'nobody but its author' : best.join(', ');
  const message = `commit ${short} was approved by ${has}; ${rule.approvals} other than the author must have`;
  return { check: failed('review', message, 'have it reviewed'), approvers: best };
}

function saidBy({ policy, proofs }: Found, names: readonly string[], predicateType: string): Said[] {
  const keys = new Map(names.map((name): [string, PublicKey] => [name, policy.keys.get(name)!]));
  return proofs.flatMap((proof) => {
    // The signature first: what nobody vouches for is not even parsed.
    const by = proof.signedBy(keys);
    const statement = by.length === 0 ? undefined : statementOf(proof);
    return statement?.predicateType === predicateType ? [{ statement, by }] : [];
  });
}

function statementOf(proof: Proof): Statement | undefined {
  try {
    return proof.statement();
  } catch (error) {
    if (error instanceof ProofFault) return undefined;
    throw error;
  }
}

/** A subject has the image's SHA-256. Its name does not count: the same image may be called differently elsewhere. */
function isAbout({ subject }: Statement, digest: Digest): boolean {
  return subject.some((each) => each.digest?.sha256 === hexOf(digest));
}

/** Why nothing was found, as far as that can be told. */
function hints({ proofs, unusable }: Found): string {
  if (proofs.length === 0 && unusable.length === 0) return ': nothing was said of this image';
  const broken = unusable.length === 0 ? '' : `; ${unusable.slice(0, 3).join('; ')}`;
  return ` among ${proofs.length} ${proofs.length === 1 ? 'statement' : 'statements'}${broken}`;
}

function namesOf(said: readonly Said[]): string {
  return [...new Set(said.flatMap(({ by }) => by))].join(', ');
}

function anyOf(names: readonly string[]): string {
  return names.length === 1 ? `the key ${names[0]}` : `one of the keys ${names.join(', ')}`;
}

function passed(name: Check['name'], message: string): Check {
  return { name, passed: true, message };
}

function failed(name: Check['name'], message: string, next?: string): Check {
  return { name, passed: false, message, next };
}

/** The verdict as a fault, for where it stops something. */
export function refusal({ reference, checks }: Verdict, policy: Policy): ProofFault {
  const missing = checks.filter((check) => !check.passed);
  return new ProofFault('proof/refused', `${reference} does not fulfil ${policy.file}: ${missing[0]?.message ?? ''}`, {
    notes: missing.slice(1).map(({ name, message }) => `${name}: ${message}`),
    next: missing.find(({ next }) => next !== undefined)?.next,
  });
}
