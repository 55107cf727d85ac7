import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Label } from '../../graph/index.ts';
import { advance } from './advance.ts';
import { emptyPlacement } from './change.ts';
import { nextAutomatic, provenReleases } from './promotion.ts';
import { carRollout, lookAtTrain, planTrain, type Train } from './train.ts';
import type { Happening, Placement } from './types.ts';

const label = (name: string) => `//bank/${name}:${name}` as Label;
const terms = { patience: 1000, deadline: 100, onFailure: 'stop', returnGates: [] } as const;

function happen(placement: Placement, id: string, order: number, end: 'healthy' | 'failed' | 'progressing'): Placement {
  const release = { id: `r${order}`, order };
  const happenings: Happening[] = [
    { kind: 'plan', at: 0, request: { id, release, kind: 'promotion', by: 'ada', gates: [], terms } },
    { kind: 'gates', at: 0, rollout: id, answers: [] },
    { kind: 'applied', at: 0, rollout: id },
  ];
  if (end === 'healthy') happenings.push({ kind: 'ready', at: 0, rollout: id, verifies: false });
  if (end === 'failed') happenings.push({ kind: 'failed', at: 0, rollout: id, why: 'x' });
  return happenings.reduce((now, each) => advance(now, each).placement, placement);
}

const at = (environment: string, name: string, order: number, end: 'healthy' | 'failed' = 'healthy') =>
  happen(emptyPlacement(label(name), environment), `${environment}-${name}-${order}`, order, end);
const needs =
  (edges: Readonly<Record<string, readonly string[]>>) =>
  (service: Label): readonly Label[] =>
    (edges[service.split(':')[1]!] ?? []).map(label);

describe('planTrain', () => {
  it('takes what is healthy upstream and not there, after what it needs, also through what stays', () => {
    const plan = planTrain(
      [
        at('staging', 'gateway', 2),
        at('staging', 'ledger', 2),
        at('staging', 'db', 2),
        at('staging', 'web', 2, 'failed'),
      ],
      new Map([[label('ledger'), at('prod', 'ledger', 2)]]),
      needs({ gateway: ['ledger'], ledger: ['db'] }),
    );
    expect(plan.cars.map(({ service, after }) => [service, after])).toEqual([
      [label('db'), []],
      [label('gateway'), [label('db')]],
    ]);
    expect(plan.stay).toEqual([
      { service: label('ledger'), why: 'it is there already' },
      { service: label('web'), why: 'it is not healthy in staging' },
    ]);
  });

  it('lets services that need each other go at the same time, and says so', () => {
    const plan = planTrain(
      ['a', 'b', 'c'].map((name) => at('staging', name, 1)),
      new Map(),
      needs({ a: ['b'], b: ['a'], c: ['a'] }),
    );
    expect(plan.circles).toEqual([[label('a'), label('b')]]);
    expect(plan.cars.map(({ service }) => service)).toEqual(['a', 'b', 'c'].map(label));
    expect(plan.cars[2]?.after).toEqual([label('a'), label('b')]);
  });

  it('always has an order in which every car can go', () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const graph = fc.array(fc.tuple(fc.constantFrom(...names), fc.constantFrom(...names)), { maxLength: 15 });
    fc.assert(
      fc.property(graph, (edges) => {
        const map = Object.fromEntries(
          names.map((name) => [name, edges.filter(([a]) => a === name).map(([, b]) => b)]),
        );
        const { cars } = planTrain(
          names.map((name) => at('staging', name, 1)),
          new Map(),
          needs(map),
        );
        const before = new Set<Label>();
        for (const { service, after } of cars) {
          for (const other of after) expect(before.has(other)).toBe(true);
          before.add(service);
        }
        expect(before.size).toBe(names.length);
      }),
      { numRuns: 500 },
    );
  });
});

describe('lookAtTrain', () => {
  const train: Train = {
    id: 't',
    cars: [
      { service: label('db'), release: { id: 'r2', order: 2 }, after: [] },
      { service: label('ledger'), release: { id: 'r2', order: 2 }, after: [label('db')] },
      { service: label('other'), release: { id: 'r2', order: 2 }, after: [] },
    ],
  };
  const prod = new Map(['db', 'ledger', 'other'].map((name) => [label(name), at('prod', name, 1)]));
  const car = (name: string) => train.cars.find(({ service }) => service === label(name))!;
  const moved = (name: string, end: 'healthy' | 'failed' | 'progressing', from = prod) => {
    const placement = happen(from.get(label(name))!, carRollout(train, car(name)), 2, end);
    return new Map([...from, [label(name), placement]]);
  };
  const starting = (placements: ReadonlyMap<Label, Placement>) =>
    lookAtTrain(train, placements).start.map(({ service }) => service.split(':')[1]);

  it('begins with those that need nothing, and goes on with those whose needs have arrived', () => {
    expect(starting(prod)).toEqual(['db', 'other']);
    expect(starting(moved('db', 'progressing'))).toEqual(['other']);
    expect(starting(moved('db', 'healthy'))).toEqual(['other', 'ledger']);
    const all = moved('ledger', 'healthy', moved('other', 'healthy', moved('db', 'healthy')));
    expect(lookAtTrain(train, all)).toMatchObject({ start: [], ended: true });
  });

  it('keeps those behind a failure, and no others', () => {
    const { start, states, ended } = lookAtTrain(train, moved('db', 'failed'));
    expect(start.map(({ service }) => service)).toEqual([label('other')]);
    expect(states.get(label('ledger'))).toBe('stays');
    expect(ended).toBe(false);
    expect(lookAtTrain(train, moved('other', 'healthy', moved('db', 'failed'))).ended).toBe(true);
  });

  it('takes a newer release that took over for the one that was to come', () => {
    const placements = moved('db', 'progressing');
    const newer = happen(placements.get(label('db'))!, 'newer', 3, 'healthy');
    expect(lookAtTrain(train, new Map([...placements, [label('db'), newer]])).states.get(label('db'))).toBe('arrived');
  });
});

describe('nextAutomatic', () => {
  const prod = at('prod', 'ledger', 1);
  const candidates = [1, 2, 3].map((order) => ({ id: `r${order}`, order }));

  it('is the newest whose gates are open, else the newest', () => {
    expect(nextAutomatic(prod, candidates, ({ order }) => order <= 2, 0)?.order).toBe(2);
    expect(nextAutomatic(prod, candidates, () => false, 0)?.order).toBe(3);
    expect(nextAutomatic(prod, candidates.slice(0, 1), () => true, 0)).toBeUndefined();
  });

  it('leaves alone what waits already, and what a person asked for', () => {
    const wait = (kind: 'automatic' | 'promotion', order: number) =>
      advance(prod, {
        kind: 'plan',
        at: 0,
        request: { id: 'w', release: { id: `r${order}`, order }, kind, by: 'ada', gates: ['soak'], terms },
      }).placement;
    expect(nextAutomatic(wait('automatic', 3), candidates, () => false, 0)).toBeUndefined();
    expect(nextAutomatic(wait('automatic', 3), candidates, ({ order }) => order === 2, 0)?.order).toBe(2);
    expect(nextAutomatic(wait('promotion', 2), candidates, () => true, 0)).toBeUndefined();
  });

  it('brings nothing in again that was removed, or is to be', () => {
    const out = { id: 'x', release: { id: 'r1', order: 1 }, kind: 'removal', by: 'ada', gates: [], terms } as const;
    const planned = advance(at('prod', 'ledger', 1), { kind: 'plan', at: 1, request: out }).placement;
    const upstream = [happen(at('staging', 'ledger', 1), 's2', 2, 'healthy')];
    const plan = (there: Placement) => planTrain(upstream, new Map([[there.service, there]]), () => []);
    expect(plan(planned)).toMatchObject({ cars: [], stay: [{ why: 'it was removed from prod' }] });
    const gone = (
      [
        { kind: 'gates', at: 1, rollout: 'x', answers: [] },
        { kind: 'applied', at: 1, rollout: 'x' },
        { kind: 'ready', at: 1, rollout: 'x', verifies: false },
      ] satisfies Happening[]
    ).reduce((now: Placement, each) => advance(now, each).placement, planned);
    expect(gone.rollouts.at(-1)?.state).toBe('removed');
    expect(plan(gone)).toMatchObject({ cars: [] });
    // A train that is under way already does not push the removal aside.
    const train = { id: 't', cars: [{ service: gone.service, release: { id: 'r2', order: 2 }, after: [] }] };
    expect(lookAtTrain(train, new Map([[planned.service, planned]]))).toMatchObject({ start: [], ended: true });
  });

  it('takes from upstream what was healthy there and was not rolled back from', () => {
    const twice = happen(at('staging', 'ledger', 1), 's2', 2, 'healthy');
    expect(provenReleases(twice).map(({ order }) => order)).toEqual([2, 1]);
    const back = [
      {
        kind: 'plan',
        at: 1,
        request: { id: 'b', release: { id: 'r1', order: 1 }, kind: 'rollback', by: 'ada', gates: [], terms },
      },
      { kind: 'gates', at: 1, rollout: 'b', answers: [] },
      { kind: 'applied', at: 1, rollout: 'b' },
      { kind: 'ready', at: 1, rollout: 'b', verifies: false },
    ] satisfies Happening[];
    const returned = back.reduce((now: Placement, each) => advance(now, each).placement, twice);
    expect(provenReleases(returned).map(({ order }) => order)).toEqual([1]);
  });
});
