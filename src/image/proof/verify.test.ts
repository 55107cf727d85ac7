import { beforeAll, describe, expect, test } from 'vitest';
import { mirrorImages } from '../client/mirror.ts';
import { digestOf } from '../digest.ts';
import { startRegistry } from '../testing/registry.ts';
import { attachBundle, attachStatements } from './attach.ts';
import { formatBundle, parseBundle } from './bundle.ts';
import { intotoPayload, signEnvelope, signersOf } from './dsse.ts';
import { generateKeys } from './keys/generate.ts';
import { type Signer, signerOf } from './keys/signer.ts';
import type { Policy } from './policy.ts';
import type { Collected } from './proof.ts';
import { type BuildFacts, provenanceOf } from './provenance.ts';
import { openProofRepository } from './referrers.ts';
import { reviewStatement } from './review.ts';
import { formatStatement, parseStatement, predicateTypes, type Statement } from './statement.ts';
import { tagStatements } from './tagged.ts';
import { judge, refusal, verifyImage } from './verify.ts';

let ci: Signer;
let reviewer: Signer;
let stranger: Signer;
let policy: Policy;

async function newSigner(): Promise<Signer> {
  const { privateKey } = await generateKeys('');
  return signerOf(privateKey, async () => '', 'a key');
}

beforeAll(async () => {
  [ci, reviewer, stranger] = await Promise.all([newSigner(), newSigner(), newSigner()]);
  policy = {
    file: 'policies/prod.yaml',
    mode: 'enforce',
    keys: new Map([
      ['ci', ci.publicKey],
      ['review', reviewer.publicKey],
    ]),
    signedBy: ['ci'],
    provenance: {
      signedBy: ['ci'],
      builders: ['https://ci.example/builder'],
      workspaces: ['bank'],
      sources: ['git+https://git.example/bank'],
      edits: false,
      reproducible: true,
    },
    sbom: { signedBy: ['ci'] },
    review: { signedBy: ['review'], approvals: 1 },
    place: { file: 'policies/prod.yaml' },
  };
});

const digest = digestOf('the image');
const commit = 'c0ffee'.padEnd(40, '0');

const facts: BuildFacts = {
  name: 'bank/ledger',
  digest,
  label: '//bank/ledger:image',
  workspace: 'bank',
  source: { uri: 'git+https://git.example/bank', commit, tree: 'a'.repeat(40), edits: false },
  platforms: ['linux/amd64'],
  toolchains: {},
  reproducible: true,
  materials: [],
  builder: { id: 'https://ci.example/builder', version: { banksman: '0.1.0' } },
};

function about(predicateType: string, predicate: object = {}, of: string = digest): Statement {
  const subject = [{ name: 'bank/ledger', digest: { sha256: of.slice('sha256:'.length) } }];
  return { subject, predicateType, predicate: predicate as Statement['predicate'] };
}

const signature = (of?: string) => about(predicateTypes.signature, {}, of);
const sbom = (of?: string) => about(predicateTypes.sbom, { bomFormat: 'CycloneDX' }, of);
const review = (change: Partial<Parameters<typeof reviewStatement>[0]> = {}) =>
  reviewStatement({ commit, author: 'ada@bank.example', approvers: ['grace@bank.example'], ...change });

/** What a registry would give of these statements. */
async function said(...statements: readonly (readonly [Signer, Statement])[]): Promise<Collected> {
  const proofs = await Promise.all(
    statements.map(async ([signer, statement]) => {
      const envelope = await signEnvelope(intotoPayload, formatStatement(statement), signer);
      return {
        digest: digestOf(envelope.payload),
        form: 'bundle' as const,
        bundle: digestOf(envelope.payload),
        payload: envelope.payload,
        signedBy: (keys: Policy['keys']) => signersOf(envelope, keys),
        statement: () => parseStatement(envelope.payload, 'it'),
      };
    }),
  );
  return { proofs, unusable: [] };
}

const whole = (): [Signer, Statement][] => [
  [ci, signature()],
  [ci, provenanceOf(facts)],
  [ci, sbom()],
  [reviewer, review()],
];

function failedOf(collected: Collected): Record<string, string> {
  const { checks } = judge(policy, digest, collected);
  return Object.fromEntries(checks.filter(({ passed }) => !passed).map(({ name, message }) => [name, message]));
}

test('an image with all that the policy asks for passes', async () => {
  const verdict = judge(policy, digest, await said(...whole()));
  expect(verdict).toMatchObject({ passed: true, commit, approvers: ['grace@bank.example'] });
  expect(verdict.checks.map(({ name }) => name)).toEqual(['signature', 'provenance', 'sbom', 'review']);
});

test('nothing at all fails in everything', async () => {
  const failed = failedOf(await said());
  expect(Object.keys(failed)).toEqual(['signature', 'provenance', 'sbom', 'review']);
  expect(failed.signature).toMatch(/nothing was said of this image/);
});

describe('what does not do', () => {
  const without = (index: number, ...more: [Signer, Statement][]) => [
    ...whole().filter((_, at) => at !== index),
    ...more,
  ];
  test.each<[string, string, () => (readonly [Signer, Statement])[], RegExp]>([
    ['no signature', 'signature', () => without(0), /no signature of the key ci among 3 statements/],
    ["a stranger's signature", 'signature', () => without(0, [stranger, signature()]), /no signature of the key ci/],
    ["the reviewer's signature", 'signature', () => without(0, [reviewer, signature()]), /no signature/],
    ["another image's signature", 'signature', () => without(0, [ci, signature(digestOf('other'))]), /no signature/],
    [
      "a stranger's provenance",
      'provenance',
      () => without(1, [stranger, provenanceOf(facts)]),
      /no provenance signed by/,
    ],
    [
      "another image's provenance",
      'provenance',
      () => without(1, [ci, provenanceOf({ ...facts, digest: digestOf('other') })]),
      /no provenance signed by/,
    ],
    [
      'another builder',
      'provenance',
      () => without(1, [ci, provenanceOf({ ...facts, builder: { id: 'https://evil.example', version: {} } })]),
      /it was built by https:\/\/evil.example/,
    ],
    [
      'a builder whose name begins the same',
      'provenance',
      () => without(1, [ci, provenanceOf({ ...facts, builder: { id: 'https://ci.example/builder/2', version: {} } })]),
      /it was built by/,
    ],
    [
      'another workspace',
      'provenance',
      () => without(1, [ci, provenanceOf({ ...facts, workspace: 'toys' })]),
      /workspace toys/,
    ],
    [
      'another source',
      'provenance',
      () => without(1, [ci, provenanceOf({ ...facts, source: { ...facts.source, uri: 'git+https://x/y' } })]),
      /its source is git\+https:\/\/x\/y/,
    ],
    [
      'files that differ from the commit',
      'provenance',
      () => without(1, [ci, provenanceOf({ ...facts, source: { ...facts.source, edits: true } })]),
      /files differed from commit c0ffee/,
    ],
    [
      'a build that may come out otherwise',
      'provenance',
      () => without(1, [ci, provenanceOf({ ...facts, reproducible: false })]),
      /another build of it may be other bytes/,
    ],
    [
      'no commit',
      'provenance',
      () => without(1, [ci, provenanceOf({ ...facts, source: { uri: facts.source.uri, edits: false } })]),
      /it names no commit/,
    ],
    [
      'a build of another kind',
      'provenance',
      () =>
        without(1, [
          ci,
          about(predicateTypes.provenance, {
            buildDefinition: { buildType: 'https://other.example', externalParameters: {} },
            runDetails: { builder: { id: 'https://ci.example/builder' } },
          }),
        ]),
      /build type https:\/\/other.example is not known/,
    ],
    [
      'a provenance that is none',
      'provenance',
      () => without(1, [ci, about(predicateTypes.provenance)]),
      /not in the form/,
    ],
    ['no bill of materials', 'sbom', () => without(2), /no bill of materials/],
    ['a bill of another kind', 'sbom', () => without(2, [ci, about(predicateTypes.sbom)]), /no bill of materials/],
    ['no review', 'review', () => without(3), /no review of commit c0ffee/],
    ["a stranger's review", 'review', () => without(3, [stranger, review()]), /no review of commit/],
    ["a review by the builder's key", 'review', () => without(3, [ci, review()]), /no review of commit/],
    [
      'a review of another commit',
      'review',
      () => without(3, [reviewer, review({ commit: 'b'.repeat(40) })]),
      /no review/,
    ],
    [
      "the author's own approval",
      'review',
      () => without(3, [reviewer, review({ approvers: ['Ada@Bank.example '] })]),
      /nobody but its author/,
    ],
    ['a review without its provenance', 'review', () => without(1), /no provenance says which commit was built/],
  ])('%s', async (_, check, statements, expected) => {
    const failed = failedOf(await said(...statements()));
    expect(failed[check]).toMatch(expected);
  });

  test('the same person twice is one', async () => {
    const two: Policy = { ...policy, review: { signedBy: ['review'], approvals: 2 } };
    const statements = whole();
    statements[3] = [reviewer, review({ approvers: ['grace@bank.example', 'GRACE@bank.example'] })];
    expect(judge(two, digest, await said(...statements)).passed).toBe(false);
    statements[3] = [reviewer, review({ approvers: ['grace@bank.example', 'linus@bank.example'] })];
    expect(judge(two, digest, await said(...statements)).passed).toBe(true);
  });

  test('a wrong statement beside a right one does no harm', async () => {
    const evil = provenanceOf({ ...facts, builder: { id: 'https://evil.example', version: {} } });
    expect(judge(policy, digest, await said([ci, evil], [stranger, signature()], ...whole())).passed).toBe(true);
  });

  test('the fault says what is missing, and what to do', async () => {
    const verdict = { reference: 'r/x:1', digest, ...judge(policy, digest, await said(...without(0))) };
    expect(refusal(verdict, policy)).toMatchObject({
      code: 'proof/refused',
      message: expect.stringMatching(/r\/x:1 does not fulfil policies\/prod.yaml: no signature/),
      next: expect.stringMatching(/banksman image sign/),
    });
  });
});

describe('in a registry', () => {
  const transport = { plainHttp: true };

  test('an image passes by tag and by digest; a payload that was edited, and one beside another image, do not', async () => {
    const registry = await startRegistry();
    const { subject, reference } = await registry.push('bank/ledger', 'one');
    const repository = await openProofRepository({ registry: registry.host, repository: 'bank/ledger' }, 'pull,push', {
      transport: { plainHttp: true },
    });
    const own = subject.digest;
    await attachStatements(
      repository,
      subject,
      [signature(own), provenanceOf({ ...facts, digest: own }), sbom(own)],
      ci,
    );
    expect(await verifyImage({ reference, policy, transport })).toMatchObject({ passed: false, digest: own });
    await attachStatements(repository, subject, [review()], reviewer);
    expect(await verifyImage({ reference, policy, transport })).toMatchObject({ passed: true, digest: own, commit });
    expect(await verifyImage({ reference, digest: own, policy, transport })).toMatchObject({ passed: true });
    expect(await verifyImage({ reference, digest: digestOf('x'), policy, transport })).toMatchObject({ passed: false });

    const other = await registry.push('bank/ledger', 'two');
    const edited = await signEnvelope(intotoPayload, formatStatement(signature(own)), ci);
    const payload = formatStatement(signature(other.subject.digest));
    const bundle = formatBundle({ ...edited, payload }, ci.publicKey);
    expect(parseBundle(bundle, 'it').payload.equals(payload)).toBe(true);
    await attachBundle(repository, other.subject, bundle, predicateTypes.signature);
    await attachStatements(repository, other.subject, [signature(own)], ci);
    await attachBundle(repository, other.subject, Buffer.from('no bundle'), predicateTypes.signature);
    const verdict = await verifyImage({ reference: other.reference, policy, transport });
    expect(verdict.passed).toBe(false);
    expect(verdict.checks[0]?.message).toMatch(
      /no signature of the key ci among 2 statements; the bundle .* no Sigstore bundle/,
    );
    repository.close();
  });

  test('what was said of an image goes with it to another registry', async () => {
    const from = await startRegistry();
    const to = await startRegistry();
    const { subject, reference } = await from.push('bank/ledger', 'one');
    const repository = await openProofRepository({ registry: from.host, repository: 'bank/ledger' }, 'pull,push', {
      transport,
    });
    const own = subject.digest;
    await attachStatements(
      repository,
      subject,
      [signature(own), provenanceOf({ ...facts, digest: own }), sbom(own)],
      ci,
    );
    await attachStatements(repository, subject, [review()], reviewer);
    repository.close();
    await mirrorImages({ sources: [reference], destination: `${to.host}/copied`, access: () => transport });
    const copied = `${to.host}/copied/bank/ledger@${own}`;
    expect(await verifyImage({ reference: copied, policy, transport })).toMatchObject({ passed: true, digest: own });
  });

  test("another image's signature in the form of cosign 2, and a tag that is none, prove nothing", async () => {
    const registry = await startRegistry();
    const one = await registry.push('bank/ledger', 'one');
    const two = await registry.push('bank/ledger', 'two');
    const repository = await openProofRepository({ registry: registry.host, repository: 'bank/ledger' }, 'pull,push', {
      transport,
    });
    await tagStatements(repository, one.subject, [signature(one.subject.digest)], ci);
    const plain: Policy = { file: 'p.yaml', mode: 'enforce', keys: policy.keys, signedBy: ['ci'], place: policy.place };
    expect(await verifyImage({ reference: one.reference, policy: plain, transport })).toMatchObject({ passed: true });

    const tag = (digest: string) => `${digest.replace(':', '-')}.sig`;
    const { bytes, mediaType } = await repository.manifest(tag(one.subject.digest));
    await repository.putManifest(tag(two.subject.digest), mediaType, bytes);
    const moved = await verifyImage({ reference: two.reference, policy: plain, transport });
    expect(moved.checks[0]?.message).toMatch(/no signature of the key ci among 1 statement/);

    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [],
    });
    await repository.putManifest(
      tag(two.subject.digest),
      'application/vnd.oci.image.index.v1+json',
      Buffer.from(index),
    );
    const strange = await verifyImage({ reference: two.reference, policy: plain, transport });
    expect(strange.checks[0]?.message).toMatch(/no signature of the key ci among 0 statements; the tag .* is an index/);
    repository.close();
  });

  test('an image that is not there, a name that is none, and a registry that is away are refused', async () => {
    const registry = await startRegistry();
    const absent = await verifyImage({ reference: `${registry.host}/bank/none:1`, policy, transport });
    expect(absent).toMatchObject({ passed: false, digest: undefined, checks: [{ name: 'found', passed: false }] });
    expect(absent.checks[0]?.message).toMatch(/does not have/);
    expect(await verifyImage({ reference: 'none', policy, transport })).toMatchObject({ passed: false });
    const away = await verifyImage({ reference: '127.0.0.1:1/bank/none:1', policy, transport });
    expect(away.checks[0]?.message).toMatch(/can't be reached/);
  });

  test('a registry that does not answer what refers to an image is not taken for one without signatures', async () => {
    const registry = await startRegistry((handler) => (request, response) => {
      if (!request.url?.includes('/referrers/')) return handler(request, response);
      response.writeHead(418).end();
    });
    const { reference } = await registry.push('bank/ledger', 'one');
    const verdict = await verifyImage({ reference, policy, transport });
    expect(verdict.checks[0]?.message).toMatch(/answered 418/);
  });
});
