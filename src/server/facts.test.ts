import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningDatabase, testDatabases } from '../../test/support/databases.ts';
import { readEntries, verifyLog } from '../audit/index.ts';
import { openPglite } from '../database/index.ts';
import type { Environment, Label } from '../graph/index.ts';
import { openPlacementStore } from '../release/index.ts';
import { commit, digest, service, startTestServer, type TestServer } from './testing/server.ts';

const place = { file: 'banksman.yaml', line: 1 };
const environment = (name: string, gates: Environment['gates']): [string, Environment] => [
  name,
  {
    cluster: 'local',
    registry: 'r',
    parameters: {},
    place,
    name,
    namespace: name,
    patience: 90 * 86_400_000,
    gates: gates ?? [],
  },
];
const unit = '//bank/ledger:test' as Label;
const smoke = '//bank/e2e:smoke' as Label;
const environments = new Map<string, Environment>([
  environment('tested', [{ kind: 'tests', name: 'tests', targets: [unit, smoke], place }]),
  environment('quiet', [{ kind: 'tests', name: 'tests', targets: [unit], place }]),
  environment('proven', [{ kind: 'provenance', name: 'provenance', policy: 'p.yaml', place }]),
]);
const at = (name: string) => `/v1/environments/${name}/services/${encodeURIComponent(service)}`;
const testsOf = (index: number) =>
  `/v1/services/${encodeURIComponent(service)}/releases/${encodeURIComponent(digest(index))}/tests`;

describe.each(testDatabases)('what gates are judged by, on $engine', ({ start }) => {
  let running: RunningDatabase;
  let test: TestServer;
  const policy = { verified: false, reason: 'no signature of the key ci', sum: 'a' };
  beforeAll(async () => {
    running = await start();
    test = await startTestServer(running, environments, {
      checkProvenance: async ({ gates = [] }, release) => {
        if (!gates.some(({ kind }) => kind === 'provenance')) return undefined;
        const { verified, reason, sum } = policy;
        return { release: release.id, policy: 'p.yaml', policySum: sum, verified, reason };
      },
    });
  }, 60_000);
  afterAll(async () => {
    await test?.server.stop();
    await running?.stop();
  });
  const answers = async (name: string, index: number) => {
    const { json } = await test.call('viewer', 'GET', `${at(name)}/why?release=${encodeURIComponent(digest(index))}`);
    return json.answers as { gate: string; holds: boolean; reason: string; since?: string; opens?: string }[];
  };
  const report = (index: number, tests: object[], where = 'ci-1') =>
    test.call('engineer', 'POST', testsOf(index), { commit: commit(index), where, tests });

  it('opens the gate of tests by a report on this very release, and shuts it by a later one', async () => {
    await test.add(1);
    await test.add(2);
    expect(await answers('tested', 1)).toMatchObject([
      { gate: 'tests', holds: false, reason: `not run on this release: ${unit}, ${smoke}` },
      { gate: 'review', holds: true },
    ]);
    expect(await report(1, [{ target: unit, passed: true }])).toMatchObject({ status: 201 });
    expect(await answers('tested', 1)).toMatchObject([
      { holds: false, reason: `not run on this release: ${smoke}`, opens: `a run that passes: banksman test ${smoke}` },
      {},
    ]);
    test.wait(1000);
    const since = new Date(test.now()).toISOString();
    await report(1, [{ target: smoke, passed: true }]);
    expect((await answers('tested', 1))[0]).toMatchObject({ holds: true, reason: '2 of 2 tests passed', since });
    // Another release is another one.
    expect((await answers('tested', 2))[0]).toMatchObject({ holds: false });
    test.wait(1000);
    await report(1, [
      { target: unit, passed: true },
      { target: smoke, passed: false },
    ]);
    expect((await answers('tested', 1))[0]).toMatchObject({ holds: false, reason: `failed: ${smoke}` });
    const { json } = await test.call('viewer', 'GET', testsOf(1));
    expect(json).toMatchObject([
      { by: 'engineer@bank.example', where: 'ci-1', tests: [{ target: unit, passed: true }] },
      { tests: [{ target: smoke, passed: true }] },
      { commit: commit(1), at: new Date(test.now()).toISOString() },
    ]);
  });

  it('takes reports of exactly the commit alone, and from whoever may', async () => {
    const body = { commit: commit(2), where: 'ci', tests: [{ target: unit, passed: true }] };
    expect(await test.call('engineer', 'POST', testsOf(1), body)).toMatchObject({
      status: 409,
      json: { type: 'urn:banksman:release/other-commit' },
    });
    expect(await test.call('engineer', 'POST', testsOf(9), body)).toMatchObject({ status: 404 });
    expect(await test.call('viewer', 'POST', testsOf(2), body)).toMatchObject({ status: 403 });
    expect(await test.call('engineer', 'POST', testsOf(2), { ...body, tests: [] })).toMatchObject({ status: 400 });
    expect(await test.call('engineer', 'POST', testsOf(2), { ...body, commit: 'main' })).toMatchObject({ status: 400 });
    expect((await answers('tested', 2))[0]).toMatchObject({ holds: false });
  });

  it('says which releases were made at a commit, and which tests gates ask for', async () => {
    const { json } = await test.call('viewer', 'GET', `/v1/commits/${commit(1)}/releases`);
    expect(json).toMatchObject({ releases: [{ id: digest(1), service }], tests: [smoke, unit] });
    expect((await test.call('viewer', 'GET', `/v1/commits/${'d'.repeat(40)}/releases`)).json).toMatchObject({
      releases: [],
    });
    expect(await test.call('viewer', 'GET', '/v1/commits/main/releases')).toMatchObject({ status: 400 });
  });

  it('makes later rollouts wait for the review of an emergency, by another than who asked for it', async () => {
    const asked = await test.call(
      'engineer',
      'POST',
      `${at('quiet')}/promotions`,
      { release: digest(1), emergency: 'payments fail since 10:04' },
      { 'idempotency-key': 'emergency-1' },
    );
    expect(asked).toMatchObject({ status: 202 });
    const review = `${at('quiet')}/rollouts/emergency-1/review`;
    const unknown = review.replace('emergency-1', 'emergency-2');
    expect(await test.call('release-manager', 'POST', unknown, { why: 'seen' })).toMatchObject({ status: 404 });
    // Whether this starts it or the server has already: it has gone past the gates after that.
    const store = await openPlacementStore(running.database);
    const gates = { kind: 'gates', rollout: 'emergency-1', at: test.now() } as const;
    const passed = [{ gate: 'emergency', holds: true, reason: 'emergency' }];
    await store.happen(service, 'quiet', { ...gates, answers: passed }, { who: 'banksman', source: 'test' });
    await report(2, [{ target: unit, passed: true }]);
    expect((await answers('quiet', 2)).map(({ holds }) => holds)).toEqual([true, true]);
    test.wait(25 * 3_600_000);
    expect((await answers('quiet', 2))[1]).toMatchObject({
      gate: 'review',
      holds: false,
      opens: 'a review of rollout emergency-1 by another than engineer@bank.example',
    });
    expect(await test.call('engineer', 'POST', review, { why: 'it was me' })).toMatchObject({
      status: 409,
      json: { type: 'urn:banksman:release/same-person' },
    });
    expect(await test.call('viewer', 'POST', review, { why: 'x' })).toMatchObject({ status: 403 });
    const first = await test.call('release-manager', 'POST', review, { why: 'the fix alone' });
    expect(first).toMatchObject({ status: 200, json: { by: 'release-manager@bank.example', why: 'the fix alone' } });
    // The first stands, also where somebody says it twice.
    expect((await test.call('release-manager', 'POST', review, { why: 'again' })).json).toEqual(first.json);
    expect((await answers('quiet', 2))[1]).toMatchObject({ holds: true });
    expect((await test.call('viewer', 'GET', `${at('quiet')}/emergencies`)).json).toMatchObject([
      { rollout: 'emergency-1', by: 'engineer@bank.example', review: { why: 'the fix alone' } },
    ]);
  });

  it('answers for provenance with what the policy says now, and since when', async () => {
    expect((await answers('proven', 1))[0]).toMatchObject({ holds: false, reason: policy.reason });
    Object.assign(policy, { verified: true, reason: '1 image passes p.yaml' });
    const since = new Date(test.now()).toISOString();
    expect((await answers('proven', 1))[0]).toMatchObject({ holds: true, since });
    test.wait(60_000);
    expect((await answers('proven', 1))[0]).toMatchObject({ holds: true, since });
    // Another policy under the same name answers anew.
    policy.sum = 'b';
    const later = new Date(test.now()).toISOString();
    expect((await answers('proven', 1))[0]).toMatchObject({ holds: true, since: later });
    const store = await openPlacementStore(running.database);
    const verdicts = await store.provenanceVerdicts('proven', digest(1));
    expect(verdicts.map(({ verified, policySum }) => [verified, policySum])).toEqual([
      [false, 'a'],
      [true, 'a'],
      [true, 'b'],
    ]);
  });

  it('leaves each of it in a log that is whole', async () => {
    const entries = await readEntries(running.database, { limit: 1000 });
    const actions = entries.map(({ event }) => event.action);
    expect(actions).toEqual(
      expect.arrayContaining(['test.report', 'emergency.review', 'provenance.refuse', 'provenance.pass']),
    );
    expect(await verifyLog(running.database)).toMatchObject({ findings: [] });
  });
});

it('takes no review of an emergency that has not gone past the gates yet, or that is none', async () => {
  const database = await openPglite(undefined);
  try {
    const store = await openPlacementStore(database);
    const actor = { who: 'ada', source: 'test' };
    const known = {
      id: digest(1),
      service,
      kind: 'service',
      reference: 'r',
      commit: commit(1),
      authors: [],
      madeAt: 0,
    } as const;
    const { id, order } = await store.addRelease(known, actor);
    const wish = {
      release: { id, order },
      kind: 'promotion',
      by: 'ada',
      terms: { patience: 600_000, deadline: 600_000, onFailure: 'stop', returnGates: [] },
    } as const;
    const review = (rollout: string) =>
      store.reviewEmergency(service, 'prod', { rollout, by: 'bob', at: 1, why: 'x' }, actor);
    const plan = (request: object) =>
      store.happen(service, 'prod', { kind: 'plan', at: 1, request: { ...wish, ...request } as never }, actor);
    await plan({ id: 'waits', emergency: 'payments fail', gates: ['emergency'] });
    await expect(review('waits')).rejects.toMatchObject({ code: 'release/no-emergency' });
    await plan({ id: 'ordinary', gates: ['tests'] });
    const answers = [{ gate: 'tests', holds: true, reason: 'passed' }];
    await store.happen(service, 'prod', { kind: 'gates', at: 2, rollout: 'ordinary', answers }, actor);
    await expect(review('ordinary')).rejects.toMatchObject({ code: 'release/no-emergency' });
    expect(await store.emergencyReviews(service, 'prod')).toEqual([]);
  } finally {
    await database.close();
  }
});
