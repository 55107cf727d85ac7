import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCheckpoint, newCheckpointKey, readPrivateKey, readPublicKey } from '../../audit/index.ts';
import { type Database, openPglite } from '../../database/index.ts';
import type { Environment, Label } from '../../graph/index.ts';
import {
  commitEvidence,
  type Evidence,
  type EvidenceParts,
  environmentOf,
  gatherEvidence,
  type KnownRelease,
  openPlacementStore,
  provenanceCheck,
  readPolicies,
  sealEvidence,
  statementsBeside,
  verifyEvidence,
} from '../index.ts';
import { type SignedService, service, signedService } from '../testing/signed-service.ts';

const { privateKey, publicKey } = newCheckpointKey();
const key = readPrivateKey(privateKey);
const keys = [readPublicKey(publicKey)];
const start = Date.parse('2026-01-01T00:00:00Z');
const actor = { who: 'ada@bank.example', source: '192.0.2.1' };
const test = '//one:test' as Label;

let made: SignedService;
let database: Database;
let release: KnownRelease;
let parts: EvidenceParts;
let sealed: Evidence;

beforeAll(async () => {
  made = await signedService();
  await made.review('bob@bank.example');
  database = await openPglite(undefined);
  release = await made.make(true);
  const workspace = await made.workspace();
  const prod: Environment = environmentOf(workspace, 'prod');
  const policies = await readPolicies(workspace);
  const reach = async () => ({ registry: made.registry });
  const check = provenanceCheck({ policies, fetchRelease: made.fetch, reach });
  const store = await openPlacementStore(database, check);
  // Another service's entries lie between.
  await store.addRelease({ ...release, id: 'other', service: '//two:two' as Label }, actor);
  const known = await store.addRelease({ ...release, madeAt: start }, actor);
  await store.reportTests(
    {
      release: known.id,
      commit: known.commit,
      where: 'ci-1',
      by: 'ci',
      at: start,
      tests: [{ target: test, passed: true }],
    },
    { who: 'ci', source: '192.0.2.2' },
  );
  await store.provenance(prod, known, start);
  const approval = {
    release: known.id,
    by: 'bob',
    roles: ['release-manager'],
    verdict: 'approves',
    at: start,
  } as const;
  await store.approve(service, 'prod', approval, { who: 'bob', source: '192.0.2.3' });
  await store.addRelease({ ...release, id: 'other2', service: '//two:two' as Label }, actor);
  const request = {
    id: 'r1',
    release: { id: known.id, order: known.order },
    kind: 'promotion',
    by: actor.who,
    why: 'new rates',
    gates: ['approvals'],
    terms: { patience: 600_000, deadline: 600_000, onFailure: 'stop', returnGates: [] },
  } as const;
  const happen = async (happening: object, at: number) =>
    await store.happen(service, 'prod', { ...happening, at } as never, actor);
  await happen({ kind: 'plan', request }, start + 1000);
  await happen(
    { kind: 'gates', rollout: 'r1', answers: [{ gate: 'approvals', holds: true, reason: 'by bob' }] },
    start + 2000,
  );
  await happen({ kind: 'applied', rollout: 'r1' }, start + 3000);
  await happen({ kind: 'ready', rollout: 'r1', verifies: false }, start + 4000);
  await happen({ kind: 'hold', hold: { id: 'h', by: 'ada', why: 'looking' } }, start + 5000);
  await makeCheckpoint(database, key, start + 6000);
  const sources = {
    database,
    store,
    fetchRelease: made.fetch,
    policies,
    statementsOn: async (
      _: Environment,
      { repository, digest }: { repository: string; digest: string },
      signal: AbortSignal,
    ) => statementsBeside(`registry.local/${repository}@${digest}`, digest, { registry: made.registry }, signal),
  };
  const about = { service, environment: prod, rollout: 'r1' };
  const gathered = await gatherEvidence(sources, about, { by: 'eve', at: start }, AbortSignal.timeout(30_000));
  const commit = await commitEvidence(made.root, release.commit);
  parts = { ...gathered, ...(commit !== undefined && { commit }) };
  sealed = await sealEvidence(parts, key);
  await expect(
    gatherEvidence(sources, { ...about, rollout: 'r2' }, { by: 'eve', at: start }, AbortSignal.timeout(30_000)),
  ).rejects.toMatchObject({ code: 'release/unknown-rollout' });
}, 120_000);
afterAll(async () => {
  await database?.close();
  await made?.stop();
});

/** A file that was written and read again. */
const copy = () => JSON.parse(JSON.stringify(sealed)) as Evidence;

describe('evidence of a rollout', () => {
  it('tells the whole chain, and is whole', async () => {
    expect(await verifyEvidence(copy(), keys)).toEqual({ findings: [], open: [] });
    expect(sealed.summary).toMatchObject({
      commit: release.commit,
      authors: ['Ada <ada@bank.example>'],
      source: { id: release.commit, message: 'first\n', author: expect.stringContaining('ada@bank.example') as string },
      reviews: [{ approvers: ['bob@bank.example'], signedBy: ['ci'] }],
      images: [
        {
          label: '//one:image',
          statements: expect.arrayContaining([expect.objectContaining({ signedBy: ['ci'] })]) as [],
        },
      ],
      made: { who: actor.who },
      tests: [{ who: 'ci', after: { where: 'ci-1' } }],
      approvals: [{ who: 'bob' }],
      provenance: [{ action: 'provenance.pass' }],
      rollout: ['planned', 'applying', 'progressing', 'healthy'].map((state) => ({ action: `rollout.${state}` })),
      gates: [{ gate: 'approvals', holds: true, reason: 'by bob' }],
      holds: [{ action: 'hold.begin', why: 'looking' }],
    });
    const { source, images } = sealed.summary as {
      source: { paths: string[] };
      images: { statements: { type: string }[] }[];
    };
    expect(source.paths).toContain('A\tone/BUILD');
    const types = images[0]!.statements.map(({ type }) => type);
    expect(new Set(types).size).toBeGreaterThanOrEqual(3);
  });

  it('says what nobody vouches for', async () => {
    const { commit: _, ...without } = parts;
    const { log } = without;
    const bare = await sealEvidence({ ...without, log: { entries: log.entries } });
    const { findings, open } = await verifyEvidence(bare, []);
    expect(findings).toEqual([]);
    expect(open.join('\n')).toMatch(/not sealed.*\n.*no checkpoint.*\n.*the commit itself/);
    expect((await verifyEvidence(copy(), [])).open.join('\n')).toMatch(/who sealed it.*\n.*who signed the checkpoint/);
    const stranger = [readPublicKey(newCheckpointKey().publicKey)];
    expect((await verifyEvidence(copy(), stranger)).findings.map(({ part }) => part)).toEqual(['whole', 'log']);
  });

  it('shows every edit of any value in it', async () => {
    for (const path of leavesOf(sealed)) {
      const edited = copy();
      edit(edited, path);
      const { findings } = await verifyEvidence(edited, keys);
      expect([path.join('.'), findings.length > 0]).toEqual([path.join('.'), true]);
    }
  }, 120_000);

  it('shows edits also to one who makes summary and sum fit, and has no key: by name of the part', async () => {
    // What only the seal vouches for, and the form, which is refused at the door.
    const unanchored = /^(?:format|about\.made|howToCheck|commit\.paths|summary|sum|signature)/;
    const found = new Set<string>();
    for (const path of leavesOf(parts)) {
      const name = path.join('.');
      if (unanchored.test(name)) continue;
      const edited = copy();
      edit(edited, path);
      const forged = await sealEvidence(edited).catch(() => edited);
      const { findings } = await verifyEvidence(forged, keys);
      const named = findings.map(({ part }) => part).filter((part) => part !== 'whole' && part !== 'summary');
      expect([name, named.length > 0]).toEqual([name, true]);
      for (const part of named) found.add(part);
    }
    expect([...found].sort()).toEqual(['commit', 'images', 'log', 'policy', 'release', 'tests']);
  }, 120_000);

  it('shows what was taken out, by name of the part', async () => {
    const cuts: [string, (evidence: Mutable) => void][] = [
      ['log', ({ log }) => void log.entries.splice(1, 1)],
      ['log', ({ log }) => void log.entries.pop()],
      ['log', ({ log }) => log.entries.reverse()],
      ['release', ({ log }) => void log.entries.shift()],
      ['release', ({ release: { blobs } }) => void blobs.pop()],
      ['images', ({ images }) => void images[0]!.statements.pop()],
      ['images', ({ images }) => void images.pop()],
      ['tests', ({ tests }) => void tests.pop()],
      ['policy', (evidence) => void delete evidence.policy],
    ];
    for (const [part, cut] of cuts) {
      const edited = copy();
      cut(edited as unknown as Mutable);
      const forged = await sealEvidence(edited).catch(() => edited);
      const { findings } = await verifyEvidence(forged, keys);
      expect(findings.map((finding) => finding.part)).toContain(part);
    }
  });
});

interface Mutable {
  log: { entries: object[] };
  release: { blobs: string[] };
  images: { statements: object[] }[];
  tests: object[];
  policy?: object;
}

function leavesOf(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([name, each]) => leavesOf(each, [...path, name]));
}

function edit(evidence: Evidence, path: readonly string[]): void {
  let holder = evidence as unknown as Record<string, unknown>;
  for (const name of path.slice(0, -1)) holder = holder[name] as Record<string, unknown>;
  const name = path.at(-1) as string;
  const value = holder[name];
  if (typeof value === 'string') {
    const middle = Math.floor(value.length / 2);
    // A letter for another, so that base64 stays what it is.
    holder[name] = `${value.slice(0, middle)}${value[middle] === 'A' ? 'B' : 'A'}${value.slice(middle + 1)}`;
  } else holder[name] = typeof value === 'number' ? value + 1 : value !== true;
}
