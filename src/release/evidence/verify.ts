import type { KeyObject } from 'node:crypto';
import { hashOf, isSignedBy, parseCheckpoint } from '../../audit/index.ts';
import { digestOf, predicateTypes } from '../../image/index.ts';
import { sortedJson } from '../artifact/index.ts';
import { sumOfTests } from '../placement/index.ts';
import { policySum } from '../proof/policy-sum.ts';
import type { Evidence } from './document.ts';
import { isSealedBy, sumOf } from './seal.ts';
import {
  bytes,
  contentOf,
  describeBundle,
  describeCommit,
  describeHolder,
  keysOf,
  logSummary,
  summarize,
} from './summary.ts';

export interface EvidenceFinding {
  /** `log`, `release`, `images`, `policy`, `tests`, `commit`, `summary`, `whole`. */
  readonly part: string;
  readonly what: string;
}

export interface EvidenceVerdict {
  /** What is not as it was. */
  readonly findings: readonly EvidenceFinding[];
  /** What nobody vouches for: no edit, and no proof against one. */
  readonly open: readonly string[];
}

/**
 * Checks evidence by itself, without a network: sums, the chain of the log, signatures, and that each part says what the log says.
 *
 * @param keys public keys (Ed25519) whose checkpoints and seals are believed
 */
export async function verifyEvidence(evidence: Evidence, keys: readonly KeyObject[]): Promise<EvidenceVerdict> {
  const findings: EvidenceFinding[] = [];
  const open: string[] = [];
  const check = async (part: string, body: (find: (what: string) => void) => void | Promise<void>) => {
    try {
      await body((what) => void findings.push({ part, what }));
    } catch (error) {
      findings.push({ part, what: `it can't be read: ${error instanceof Error ? error.message : String(error)}` });
    }
  };
  await check('whole', (find) => {
    if (sumOf(evidence) !== evidence.sum) find('its sum is another: something in it was edited');
    if (evidence.signature === undefined)
      open.push('it is not sealed: whoever edits it can make the sum fit where nothing else tells');
    else if (!keys.some((key) => isSealedBy(evidence, key))) {
      if (keys.length > 0) find('it is not sealed by a key that was given');
      else open.push('no key was given: nobody knows who sealed it');
    }
  });
  await check('log', (find) => checkLog(evidence, keys, find, open));
  await check('release', async (find) => {
    const { about, release } = evidence;
    const { made, rollout } = logSummary(evidence);
    if (rollout.length === 0) find('the log does not tell of this rollout');
    if (rollout.some(({ after }) => after.release !== about.release))
      find('the log says that the rollout was of another release');
    if (digestOf(bytes(release.manifest)) !== about.release) find('its manifest is not the release that is told of');
    if (made === undefined) find('the log does not say that it was made');
    else if (made.after.reference !== release.reference) find('the log names another reference');
    const content = await contentOf(evidence);
    const named = new Set(
      [
        ...bytes(release.manifest)
          .toString('utf8')
          .matchAll(/sha256:[0-9a-f]{64}/g),
      ].map(([text]) => text),
    );
    if (release.blobs.some((blob) => !named.has(digestOf(bytes(blob)))))
      find('a blob is not one that the manifest names');
    if (content.bundle.service !== about.service) find('it is a release of another service');
    if (made !== undefined && content.commit !== made.after.commit) find('the log names another commit');
  });
  await check('images', (find) => checkImages(evidence, find, open));
  await check('policy', (find) => checkPolicy(evidence, find, open));
  await check('tests', (find) => checkTests(evidence, find));
  await check('commit', async (find) => {
    const { commit } = evidence;
    if (commit === undefined) {
      open.push('the commit itself is not in it: make evidence in a clone of the repository');
      return;
    }
    const { commit: named } = await contentOf(evidence);
    if (describeCommit(commit.object).id !== named) find(`it is not commit ${named}, of which the release is`);
    const policyKeys = keysOf(evidence);
    for (const review of commit.reviews) {
      const { signedBy, about } = describeBundle(review, policyKeys);
      if (policyKeys.size > 0 && signedBy.length === 0) find('no key of the policy has signed a review');
      if (!about.some(({ digest }) => digest?.gitCommit === named)) find('a review is of another commit');
    }
  });
  await check('summary', async (find) => {
    if (sortedJson(JSON.parse(JSON.stringify(await summarize(evidence)))) !== sortedJson(evidence.summary))
      find('it does not say what the other parts say');
  });
  return { findings, open };
}

function checkLog({ log }: Evidence, keys: readonly KeyObject[], find: (what: string) => void, open: string[]): void {
  let before = log.entries[0];
  if (before === undefined) find('it has no entry');
  for (const [index, entry] of log.entries.entries()) {
    if (hashOf(entry.previous, entry.body) !== entry.hash) find(`entry ${entry.number} was edited`);
    if ((JSON.parse(entry.body) as { number?: unknown }).number !== entry.number)
      find(`entry ${entry.number} has another number`);
    if (index > 0 && (entry.number !== before!.number + 1 || entry.previous !== before!.hash)) {
      find(`entry ${entry.number} does not follow on the one before: one was taken out, put in or moved`);
    }
    before = entry;
  }
  if (log.checkpoint === undefined) {
    open.push('no checkpoint covers it: whoever can write the database could have written the log anew');
    return;
  }
  const checkpoint = parseCheckpoint(JSON.stringify(log.checkpoint), 'the checkpoint');
  if (before?.number !== checkpoint.number || before.hash !== checkpoint.hash) find('the checkpoint is of another log');
  if (keys.some((key) => isSignedBy(checkpoint, key))) return;
  if (keys.length > 0) find('the checkpoint is not signed by a key that was given');
  else open.push('no key was given: nobody knows who signed the checkpoint');
}

async function checkImages(evidence: Evidence, find: (what: string) => void, open: string[]): Promise<void> {
  const { images, provenance, commit } = await contentOf(evidence);
  const keys = keysOf(evidence);
  const known = new Set(images.map(({ digest }) => digest));
  for (const { digest, statements } of evidence.images) {
    if (!known.has(digest)) find(`${digest} is no image of the release`);
    for (const statement of statements) {
      const holder = describeHolder(statement);
      const { type, about, signedBy, bundle } = describeBundle(statement.bundle, keys);
      if (holder.subject !== digest || holder.bundle !== bundle)
        find(`a statement on ${digest} is not the one that its manifest names`);
      const isReview = type === predicateTypes.review;
      const fits = about.some(({ digest: of }) =>
        isReview ? of?.gitCommit === commit : `sha256:${of?.sha256}` === digest,
      );
      if (!fits) find(`a statement on ${digest} is about something else`);
      const isNamed = provenance.some((each) => each.statement === holder.digest);
      if (keys.size > 0 && signedBy.length === 0) find(`no key of the policy has signed a statement on ${digest}`);
      else if (signedBy.length === 0 && !isNamed) open.push(`nobody vouches for a statement on ${digest}`);
    }
  }
  const there = new Set(
    evidence.images.flatMap(({ statements }) => statements.map((each) => describeHolder(each).digest as string)),
  );
  for (const { subject, statement } of provenance) {
    if (!there.has(statement)) find(`a statement on ${subject} that the release names is not there: ${statement}`);
  }
}

function checkPolicy(evidence: Evidence, find: (what: string) => void, open: string[]): void {
  const { policy } = evidence;
  const last = logSummary(evidence).provenance.at(-1);
  if (policy === undefined) {
    if (last !== undefined) find('the log says that a policy was asked, and it is not there');
    return;
  }
  if (last === undefined) {
    open.push('the log does not say that the policy was asked');
    return;
  }
  if (last.after.policySum !== policySum(policy.text, keysOf(evidence))) find('it is not the policy that was asked');
  if (last.after.policy !== policy.file) find('the log names another policy');
}

function checkTests(evidence: Evidence, find: (what: string) => void): void {
  const said = logSummary(evidence).tests;
  if (said.length !== evidence.tests.length)
    find(`the log tells of ${said.length} reports, and ${evidence.tests.length} are there`);
  for (const [index, report] of evidence.tests.entries()) {
    const entry = said[index];
    if (entry === undefined) break;
    const same =
      entry.after.results === sumOfTests(report.tests) &&
      entry.after.commit === report.commit &&
      entry.after.where === report.where &&
      entry.after.release === report.release &&
      entry.who === report.by &&
      entry.at === new Date(report.at).toISOString();
    if (!same) find(`report ${index + 1} is not what was reported`);
  }
}
