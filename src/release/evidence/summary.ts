import { createHash } from 'node:crypto';
import { readBody } from '../../audit/index.ts';
import { digestOf, type PublicKey, parseBundle, parsePublicKey, parseStatement, signersOf } from '../../image/index.ts';
import { unpackRelease } from '../artifact/index.ts';
import type { EvidenceParts, EvidenceStatement } from './document.ts';

/** What the log says of a rollout and its release. Whatever is told of them follows from it. */
export function logSummary({ about, log }: Pick<EvidenceParts, 'about' | 'log'>) {
  const place = `${about.service} in ${about.environment}`;
  const entries = log.entries.map(({ body }) => readBody(body));
  const of = (kind: RegExp, subject: string, wanted: (after: Record<string, unknown>) => boolean) =>
    entries.flatMap(({ number, at, event }) => {
      const after = (event.after ?? {}) as Record<string, unknown>;
      if (!kind.test(event.action) || event.subject !== subject || !wanted(after)) return [];
      const { who, action, source, why, before } = event;
      return [{ number, at, who, action, source, ...(why !== undefined && { why }), before, after }];
    });
  const ofRelease = ({ release }: Record<string, unknown>) => release === about.release;
  const ofRollout = ({ rollout }: Record<string, unknown>) => rollout === about.rollout;
  return {
    made: of(/^release\.make$/, about.service, ({ id }) => id === about.release)[0],
    tests: of(/^test\.report$/, about.service, ofRelease),
    approvals: of(/^approval\./, place, ofRelease),
    provenance: of(/^provenance\./, place, ofRelease),
    rollout: of(/^rollout\./, place, ofRollout),
    gates: of(/^rollout\.applying$/, place, ofRollout)[0]?.after.gates,
    emergency: of(/^emergency\./, place, ofRollout),
    holds: of(/^hold\./, place, () => true),
  };
}

/** A person's view of all parts. */
export async function summarize(parts: EvidenceParts) {
  const { about, release, images, commit } = parts;
  const keys = keysOf(parts);
  const content = await contentOf(parts);
  return {
    ...about,
    reference: release.reference,
    commit: content.commit,
    authors: content.authors,
    reviewers: content.reviewers,
    ...(commit !== undefined && { source: { ...describeCommit(commit.object), paths: commit.paths } }),
    ...(commit !== undefined && {
      reviews: commit.reviews.map((bundle) => describeBundle(bundle, keys)),
    }),
    images: content.images.map((image) => ({
      ...image,
      statements: (images.find(({ digest }) => digest === image.digest)?.statements ?? []).map(({ bundle }) =>
        describeBundle(bundle, keys),
      ),
    })),
    ...logSummary(parts),
  };
}

/** @throws ReleaseFault release/bad-artifact where a blob is not there or not the one that is named */
export async function contentOf({ release }: Pick<EvidenceParts, 'release'>) {
  const blobs = new Map(release.blobs.map((text) => [digestOf(bytes(text)) as string, bytes(text)]));
  return await unpackRelease(bytes(release.manifest), async (digest) => blobs.get(digest) ?? Buffer.alloc(0));
}

export function keysOf({ policy }: Pick<EvidenceParts, 'policy'>): ReadonlyMap<string, PublicKey> {
  const entries = Object.entries(policy?.keys ?? {});
  return new Map(entries.map(([name, pem]) => [name, parsePublicKey(pem, `the key ${name}`)]));
}

/** What a statement is of, and who of the policy's keys has signed it. */
export function describeBundle(bundle: string, keys: ReadonlyMap<string, PublicKey>) {
  const envelope = parseBundle(bytes(bundle), 'a statement');
  const { predicateType, subject, predicate } = parseStatement(envelope.payload, 'a statement');
  const { author, approvers, change } = predicate;
  return {
    bundle: digestOf(bytes(bundle)),
    type: predicateType,
    about: subject.map(({ name, digest }) => ({ ...(name !== undefined && { name }), digest })),
    signedBy: signersOf(envelope, keys),
    ...(Array.isArray(approvers) && { author, approvers, ...(change !== undefined && { change }) }),
  };
}

/** git's sum of a commit, and what stands in it (gitformat: headers, an empty line, the message). */
export function describeCommit(object: string) {
  const raw = bytes(object);
  const text = raw.toString('utf8');
  const end = text.indexOf('\n\n');
  const headers = text.slice(0, end).split('\n');
  const header = (name: string) =>
    headers.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));
  const sum = (algorithm: string) => createHash(algorithm).update(`commit ${raw.length}\0`).update(raw).digest('hex');
  const tree = header('tree')[0] ?? '';
  return {
    id: sum(tree.length === 64 ? 'sha256' : 'sha1'),
    tree,
    parents: header('parent'),
    author: header('author')[0],
    committer: header('committer')[0],
    signed: headers.some((line) => line.startsWith('gpgsig')),
    message: text.slice(end + 2),
  };
}

/** Which statements an image's bundles are: the manifest's digest, whose subject and bundle it names. */
export function describeHolder({ manifest }: EvidenceStatement) {
  const value = JSON.parse(bytes(manifest).toString('utf8')) as {
    subject?: { digest?: string };
    layers?: { digest?: string }[];
  };
  return { digest: digestOf(bytes(manifest)), subject: value.subject?.digest, bundle: value.layers?.[0]?.digest };
}

export function bytes(base64: string): Buffer {
  return Buffer.from(base64, 'base64');
}
