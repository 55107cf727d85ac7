import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type RunningDatabase, testDatabases } from '../../../test/support/databases.ts';
import { readEntries, verifyLog } from '../../audit/index.ts';
import type { Label } from '../../graph/index.ts';
import { advance, emptyPlacement, type Happening, isActive, type RolloutKind } from '../model/index.ts';
import { dropLeaderLease, takeLeaderLease } from './lease.ts';
import { openPlacementStore, type PlacementStore } from './store.ts';

const actor = { who: 'ada', source: 'test' };
const terms = { patience: 1e6, deadline: 1e5, onFailure: 'return', returnGates: [] } as const;
const madeAt = Date.parse('2026-01-01T00:00:00Z');
let number = 0;

describe.each(testDatabases)('placements on $engine', ({ start }) => {
  let running: RunningDatabase;
  let store: PlacementStore;
  beforeAll(async () => {
    running = await start();
    store = await openPlacementStore(running.database);
    // Again, as every start of a server does.
    store = await openPlacementStore(running.database);
  }, 60_000);
  afterAll(() => running?.stop());

  /** A service with four releases. */
  async function newService(): Promise<Label> {
    const service = `//test/s${++number}:s` as Label;
    for (let each = 1; each <= 4; each++) {
      const id = `${service}-${each}`;
      await store.addRelease({ id, service, reference: `r@${id}`, commit: 'c', authors: ['ada'], madeAt }, actor);
    }
    return service;
  }
  const plan = (service: Label, id: string, order: number, at = 0, kind: RolloutKind = 'promotion'): Happening => ({
    kind: 'plan',
    at: madeAt + at,
    request: { id, release: { id: `${service}-${order}`, order }, kind, by: 'ada', gates: [], terms },
  });
  const pass = (rollout: string, at = 0): Happening => ({ kind: 'gates', at: madeAt + at, rollout, answers: [] });

  it('know a release once, at its place', async () => {
    const service = await newService();
    const releases = await store.releases(service);
    expect(releases.map(({ order }) => order)).toEqual([4, 3, 2, 1]);
    const again = await store.addRelease({ ...releases[3]!, madeAt: madeAt + 1 }, actor);
    expect(again).toEqual(releases[3]);
  });

  it('are what the model makes of the same happenings, whatever their order', async () => {
    const id = fc.constantFrom('a', 'b', 'c', 'a-return', 'b-return');
    const at = fc.nat({ max: 2000 });
    const kinds = fc.constantFrom('plan', 'gates', 'applied', 'ready', 'failed', 'cancel', 'tick', 'hold', 'lift');
    const story = fc.array(fc.record({ kind: kinds, id, order: fc.integer({ min: 1, max: 4 }), at }), {
      minLength: 5,
      maxLength: 20,
      size: 'max',
    });
    await fc.assert(
      fc.asyncProperty(story, async (steps) => {
        const service = await newService();
        let placement = emptyPlacement(service, 'prod');
        for (const { kind, id: rollout, order, at: time } of steps) {
          const happening = {
            plan: plan(service, rollout, order, time),
            gates: pass(rollout, time),
            applied: { kind: 'applied', at: madeAt + time, rollout },
            ready: { kind: 'ready', at: madeAt + time, rollout, verifies: false },
            failed: { kind: 'failed', at: madeAt + time, rollout, why: 'x' },
            cancel: { kind: 'cancel', at: madeAt + time, rollout, by: 'ada', why: 'x' },
            tick: { kind: 'tick', at: madeAt + time },
            hold: { kind: 'hold', at: madeAt + time, hold: { id: rollout, by: 'ada', why: 'x' } },
            lift: { kind: 'lift', at: madeAt + time, hold: `${rollout}-hold`, by: 'ada', why: 'x' },
          }[kind] as Happening;
          placement = advance(placement, happening).placement;
          await store.happen(service, 'prod', happening, actor);
        }
        expect(await store.read(service, 'prod')).toEqual(JSON.parse(JSON.stringify(placement)));
      }),
      { numRuns: 8 },
    );
    expect(await verifyLog(running.database)).toMatchObject({ findings: [] });
  });

  it('write each change of state into the audit log, with who and why, and a repetition not at all', async () => {
    const service = await newService();
    const who = { ...actor, why: 'new rates' };
    await store.happen(service, 'prod', plan(service, 'a', 1), who);
    await store.happen(service, 'prod', plan(service, 'a', 1), who);
    await store.happen(service, 'prod', pass('a'), { who: 'banksman', source: 'server' });
    const entries = await readEntries(running.database, { subject: `${service} in prod` });
    expect(entries.map(({ event }) => [event.who, event.action, event.why])).toEqual([
      ['ada', 'rollout.planned', 'new rates'],
      ['banksman', 'rollout.applying', undefined],
    ]);
    expect(entries[1]?.event).toMatchObject({
      before: { state: 'planned' },
      after: { gates: [], release: `${service}-1` },
    });
    expect(await store.open()).toContainEqual({ service, environment: 'prod' });
  });

  it('are written together where much happens at once, and one that is refused is refused alone', async () => {
    const services = await Promise.all(Array.from({ length: 12 }, newService));
    const [first, second] = services as [Label, Label];
    const lease = await takeLeaderLease(running.database, 'together', 'me', 60_000);
    const lost = { ...lease!, term: lease!.term - 1 };
    let transactions = 0;
    const counted = {
      ...running.database,
      transaction: ((body, lock) => {
        transactions++;
        return running.database.transaction(body, lock);
      }) as typeof running.database.transaction,
    };
    const own = await openPlacementStore(counted);
    const told: string[] = [];
    own.onPassage(({ service, to }) => told.push(`${service} ${to.state}`));
    transactions = 0;
    const done = await Promise.allSettled([
      ...services.map((service) => own.happen(service, 'prod', plan(service, 'a', 1), actor, lease)),
      own.happen(first, 'prod', pass('a', 5), actor, lease),
      own.happen(second, 'prod', pass('a'), actor, lost),
      own.happen(second, 'prod', plan(second, 'b', 9), actor),
    ]);
    expect(transactions).toBeLessThanOrEqual(3);
    expect(done.slice(0, 13).map(({ status }) => status)).toEqual(Array(13).fill('fulfilled'));
    expect(done.slice(13)).toMatchObject([
      { reason: { code: 'release/not-leader' } },
      { reason: { code: 'release/unknown-release' } },
    ]);
    const now = await Promise.all(services.map((service) => own.read(service, 'prod')));
    expect(now.map(({ rollouts }) => rollouts.map(({ state }) => state))).toEqual([
      ['applying'],
      ...Array(11).fill(['planned']),
    ]);
    expect(told.filter((each) => each.startsWith(`${first} `))).toEqual([`${first} planned`, `${first} applying`]);
    const entries = await readEntries(running.database, { subject: `${first} in prod` });
    expect(entries.map(({ at }) => Date.parse(at) - madeAt)).toEqual([0, 5]);
    expect(await verifyLog(running.database)).toMatchObject({ findings: [] });
    const unlike = { ...plan(second, 'b', 1), at: Number.NaN };
    const both = [own.happen(second, 'prod', unlike, actor), own.happen(first, 'prod', plan(first, 'c', 2), actor)];
    expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
  });

  it('never have two active rollouts, however many ask at the same time', async () => {
    const service = await newService();
    const other = await openPlacementStore(await running.again());
    const names = ['a', 'b', 'c', 'd'];
    await Promise.all(
      names.map(async (name, index) => {
        const mine = index % 2 === 0 ? store : other;
        await mine.happen(service, 'prod', plan(service, name, index + 1), actor);
        await mine.happen(service, 'prod', pass(name), actor);
      }),
    );
    const { rollouts } = await store.read(service, 'prod');
    expect(rollouts.map(({ id }) => id).sort()).toEqual(names);
    expect(rollouts.filter(isActive)).toHaveLength(1);
    // Whatever writes to the database beside the model is refused.
    const second = running.database.query(
      `UPDATE rollouts SET state = 'verifying' WHERE service = $1 AND state NOT IN ('applying', 'progressing', 'verifying')`,
      [service],
    );
    await expect(second).rejects.toMatchObject({ state: '23505' });
  });

  it('take no release that is not known, at another place or of another service', async () => {
    const service = await newService();
    const other = await newService();
    const wrong = {
      ...plan(service, 'a', 1),
      request: { ...(plan(service, 'a', 1) as never as { request: object }).request },
    };
    for (const release of [
      { id: 'nobody', order: 1 },
      { id: `${service}-1`, order: 2 },
      { id: `${other}-1`, order: 1 },
    ]) {
      const happening = { ...wrong, request: { ...wrong.request, release } } as Happening;
      await expect(store.happen(service, 'prod', happening, actor)).rejects.toMatchObject({
        code: 'release/unknown-release',
      });
    }
    expect((await store.read(service, 'prod')).rollouts).toEqual([]);
  });

  it('keep approvals in their order, and refuse those of a release that is not known', async () => {
    const service = await newService();
    const approval = {
      release: `${service}-1`,
      by: 'bob',
      roles: ['manager'],
      verdict: 'approves',
      at: madeAt,
    } as const;
    await store.approve(service, 'prod', approval, actor);
    await store.approve(service, 'prod', { ...approval, verdict: 'withdraws' }, actor);
    expect((await store.approvals(service, 'prod')).map(({ verdict }) => verdict)).toEqual(['approves', 'withdraws']);
    expect(await store.approvals(service, 'dev')).toEqual([]);
    await expect(store.approve(service, 'prod', { ...approval, release: 'nobody' }, actor)).rejects.toMatchObject({
      state: '23503',
    });
  });

  describe('the leader', () => {
    it('is one at a time, and the next one comes after its time or when it gives back', async () => {
      const { database } = running;
      const first = (await takeLeaderLease(database, 'test', 'one', 60_000))!;
      expect(first).toMatchObject({ holder: 'one', term: 1 });
      expect(await takeLeaderLease(database, 'test', 'two', 60_000)).toBeUndefined();
      expect(await takeLeaderLease(database, 'test', 'one', 300)).toEqual(first);
      // The database's clock is another one than that of a timer here: it may be set while this runs.
      const second = await vi.waitFor(
        async () => (await takeLeaderLease(database, 'test', 'two', 60_000)) ?? expect.fail('it is still held'),
        { timeout: 20_000, interval: 100 },
      );
      expect(second).toMatchObject({ holder: 'two', term: 2 });
      await dropLeaderLease(database, first);
      expect(await takeLeaderLease(database, 'test', 'one', 60_000)).toBeUndefined();
      await dropLeaderLease(database, second);
      expect(await takeLeaderLease(database, 'test', 'one', 60_000)).toMatchObject({ term: 3 });
    });

    it('that has lost its place changes nothing more', async () => {
      const service = await newService();
      const { database } = running;
      const lease = (await takeLeaderLease(database, 'writer', 'one', 60_000))!;
      await store.happen(service, 'prod', plan(service, 'a', 1), actor, lease);
      // It ends now, by the database's clock.
      await takeLeaderLease(database, 'writer', 'one', 0);
      const late = store.happen(service, 'prod', pass('a'), actor, lease);
      await expect(late).rejects.toMatchObject({ code: 'release/not-leader' });
      const next = (await takeLeaderLease(database, 'writer', 'two', 60_000))!;
      await expect(store.happen(service, 'prod', pass('a'), actor, lease)).rejects.toMatchObject({
        code: 'release/not-leader',
      });
      await store.happen(service, 'prod', pass('a'), actor, next);
      expect((await store.read(service, 'prod')).rollouts.map(({ state }) => state)).toEqual(['applying']);
    });
  });
});
