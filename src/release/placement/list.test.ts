import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningDatabase, testDatabases } from '../../../test/support/databases.ts';
import type { Label } from '../../graph/index.ts';
import type { Happening } from '../model/index.ts';
import { findListed, listNeeds, listPlacements, listRollouts, listServices } from './list.ts';
import { labelFilterOf } from './pattern.ts';
import { openPlacementStore, type PlacementStore } from './store.ts';

const actor = { who: 'ada', source: 'test' };
const terms = { patience: 1e6, deadline: 1e5, onFailure: 'stop', returnGates: [] } as const;
const start = Date.parse('2026-01-01T00:00:00Z');

describe('a pattern of labels', () => {
  it.each([
    ['//bank/ledger', { exact: ['//bank/ledger:ledger'], beginnings: [] }],
    ['//bank/ledger:other', { exact: ['//bank/ledger:other'], beginnings: [] }],
    ['//bank/...', { exact: [], beginnings: ['//bank/', '//bank:'] }],
    ['//...', { exact: [], beginnings: ['//'] }],
    ['//bank:all', { exact: [], beginnings: ['//bank:'] }],
  ])('%s', (pattern, filter) => expect(labelFilterOf([pattern])).toEqual(filter));
  it.each(['bank', '//', '//bank/...:x', '//bank...', '//a b', ''])('is not %j', (pattern) =>
    expect(labelFilterOf([pattern])).toBeUndefined(),
  );
});

describe.each(testDatabases)('lists on $engine', ({ start: startDatabase }) => {
  let running: RunningDatabase;
  let store: PlacementStore;
  const ledger = '//bank/ledger:ledger' as Label;
  const gateway = '//bank/gateway:gateway' as Label;
  const dns = '//platform/dns:dns' as Label;
  const happen = (service: Label, environment: string, happening: Happening) =>
    store.happen(service, environment, happening, actor);
  const plan = (service: Label, id: string, order: number, at: number): Happening => ({
    kind: 'plan',
    at: start + at,
    request: {
      id,
      release: { id: `${service}-${order}`, order },
      kind: 'promotion',
      by: 'ada',
      gates: ['soak'],
      terms,
    },
  });
  const gates = (rollout: string, at: number, holds = true): Happening => ({
    kind: 'gates',
    at: start + at,
    rollout,
    answers: [{ gate: 'soak', holds, reason: 'x' }],
  });

  beforeAll(async () => {
    running = await startDatabase();
    store = await openPlacementStore(running.database);
    for (const service of [ledger, gateway, dns]) {
      for (let order = 1; order <= 3; order++) {
        const id = `${service}-${order}`;
        const about = { owner: service === ledger ? 'ledger' : undefined, needs: service === ledger ? [gateway] : [] };
        const commit = `${order}`.repeat(40);
        const release = { id, service, reference: `r@${id}`, commit, authors: [`ada-${order}`], madeAt: start + order };
        await store.addRelease({ ...release, ...about }, actor);
      }
    }
    for (const [id, order, at] of [
      ['a', 1, 10],
      ['b', 2, 20],
    ] as const) {
      await happen(ledger, 'prod', plan(ledger, id, order, at));
      await happen(ledger, 'prod', gates(id, at + 1));
      await happen(ledger, 'prod', { kind: 'applied', at: start + at + 2, rollout: id });
      await happen(ledger, 'prod', { kind: 'ready', at: start + at + 3, rollout: id, verifies: false });
    }
    await happen(ledger, 'prod', plan(ledger, 'c', 3, 30));
    await happen(ledger, 'prod', gates('c', 31, false));
    await happen(gateway, 'prod', {
      kind: 'hold',
      at: start + 40,
      hold: { id: 'h', by: 'ada', why: 'looking', until: start + 1000 },
    });
  }, 60_000);
  afterAll(() => running?.stop());

  it('show what runs, what waits for which gate, and what is held', async () => {
    const all = await listPlacements(running.database, 'prod', { limit: 10 });
    expect(all.map(({ service }) => service)).toEqual([gateway, ledger, dns]);
    expect(all[1]).toMatchObject({
      kind: 'service',
      owner: 'ledger',
      newest: { order: 3, commit: '3'.repeat(40), madeAt: start + 3 },
      live: { order: 2, commit: '2'.repeat(40) },
      summary: {
        live: { rollout: 'b', state: 'healthy', since: start + 23, by: 'ada' },
        open: [{ rollout: 'c', state: 'gated', shut: ['soak'], due: start + 30 + 1e6 }],
        holds: [],
      },
    });
    expect(all[0]?.summary.holds).toMatchObject([{ id: 'h', why: 'looking' }]);
    expect(all[2]).toMatchObject({ kind: 'infrastructure', summary: { open: [], holds: [] } });
    expect(all[2]?.summary.live).toBeUndefined();
  });

  it('are what the filters say, and go on after a label', async () => {
    const services = async (filter: Partial<Parameters<typeof listPlacements>[2]>) =>
      (await listPlacements(running.database, 'prod', { limit: 10, ...filter })).map(({ service }) => service);
    expect(await services({ state: 'healthy' })).toEqual([ledger]);
    expect(await services({ state: 'absent' })).toEqual([gateway, dns]);
    expect(await services({ open: true })).toEqual([ledger]);
    expect(await services({ open: false })).toEqual([gateway, dns]);
    expect(await services({ heldAt: start + 999 })).toEqual([gateway]);
    expect(await services({ heldAt: start + 1000 })).toEqual([]);
    expect(await services({ kind: 'infrastructure' })).toEqual([dns]);
    expect(await services({ owner: 'ledger' })).toEqual([ledger]);
    expect(await services({ labels: labelFilterOf(['//bank/...'])! })).toEqual([gateway, ledger]);
    expect(await services({ labels: labelFilterOf(['//bank/ledger', '//platform/dns:all'])! })).toEqual([ledger, dns]);
    expect(await services({ labels: labelFilterOf([])! })).toEqual([]);
    expect(await services({ limit: 1 })).toEqual([gateway]);
    expect(await services({ after: gateway, limit: 1 })).toEqual([ledger]);
    expect(await services({ after: dns })).toEqual([]);
  });

  it('show every environment of a service, a page of services at a time', async () => {
    await happen(ledger, 'staging', plan(ledger, 's', 1, 50));
    const [first, second, ...more] = await listServices(running.database, { limit: 2 });
    expect(more).toEqual([]);
    expect([first?.service, second?.service]).toEqual([gateway, ledger]);
    expect([...second!.placements.keys()]).toEqual(['prod', 'staging']);
    expect(second!.placements.get('staging')?.summary.open).toMatchObject([{ rollout: 's', state: 'planned' }]);
    expect((await listServices(running.database, { limit: 2, after: ledger })).map(({ service }) => service)).toEqual([
      dns,
    ]);
    expect(await findListed(running.database, dns)).toMatchObject({ kind: 'infrastructure' });
    expect(await findListed(running.database, '//no:no')).toBeUndefined();
    expect((await listNeeds(running.database)).get(ledger)).toEqual([gateway]);
  });

  it('tell the history of a placement with commits, the newest first', async () => {
    const [newest, ...older] = await listRollouts(running.database, ledger, 'prod', { limit: 2 });
    expect(newest).toMatchObject({ rollout: { id: 'c' }, commit: '3'.repeat(40), authors: ['ada-3'] });
    expect(older.map(({ rollout }) => rollout.id)).toEqual(['b']);
    const rest = await listRollouts(running.database, ledger, 'prod', { limit: 9, before: older[0]!.position });
    expect(rest.map(({ rollout }) => rollout.steps.map(({ state }) => state))).toEqual([
      ['planned', 'applying', 'progressing', 'healthy'],
    ]);
  });

  it('show what an earlier version wrote, once a store was opened', async () => {
    const before = await listPlacements(running.database, 'prod', { limit: 10 });
    await running.database.query(
      `UPDATE placements SET live = NULL, state = 'absent', waits = false, held_until = NULL, summary = NULL`,
    );
    expect(await listPlacements(running.database, 'prod', { limit: 10 })).not.toEqual(before);
    await openPlacementStore(running.database);
    expect(await listPlacements(running.database, 'prod', { limit: 10 })).toEqual(before);
    expect(await listPlacements(running.database, 'prod', { limit: 10, state: 'healthy' })).toHaveLength(1);
  });
});
