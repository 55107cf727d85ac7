import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type RunningDatabase, testDatabases } from '../../../test/support/databases.ts';
import type { Label } from '../../graph/index.ts';
import { migrateDrift, type model, openPlacementStore, type Passage } from '../../release/index.ts';
import { openWebhooks } from '../webhooks/store.ts';
import { collectDatabase, countPassage } from './collect.ts';
import { metricsTable } from './reference.ts';
import { createMetrics } from './registry.ts';
import { maximumSeries, metricForms } from './table.ts';

const guide = new URL('../../../docs/operating.md', import.meta.url);
const terms: model.Terms = { patience: 1e9, deadline: 1e9, onFailure: 'stop', returnGates: [] };

describe('metrics', () => {
  it('are written as Prometheus reads them', async () => {
    const metrics = createMetrics();
    metrics.count('banksman_http_requests_total', ['/a"b\\c\nd', 'GET', 200], 3);
    metrics.set('banksman_leader', 1);
    metrics.observe('banksman_database_transaction_duration_seconds', 0.003, ['ok']);
    metrics.observe('banksman_database_transaction_duration_seconds', 0.3, ['ok']);
    metrics.observe('banksman_database_transaction_duration_seconds', 99, ['ok']);
    const text = await metrics.text();
    expect(text).toContain('banksman_http_requests_total{route="/a\\"b\\\\c\\nd",method="GET",status="200"} 3\n');
    expect(text).toMatch(/^# TYPE banksman_leader gauge\nbanksman_leader 1$/m);
    const name = 'banksman_database_transaction_duration_seconds';
    const lines = text.split('\n').filter((line) => line.startsWith(name));
    expect(lines).toEqual([
      ...[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2].map((count, index) => {
        const bound = metricForms[name].buckets[index];
        return `${name}_bucket{result="ok",le="${bound}"} ${count}`;
      }),
      `${name}_bucket{result="ok",le="+Inf"} 3`,
      `${name}_sum{result="ok"} 99.303`,
      `${name}_count{result="ok"} 3`,
    ]);
  });

  it('stay within bounds, whatever is sent', async () => {
    const metrics = createMetrics();
    for (let index = 0; index < 3 * maximumSeries; index++) {
      metrics.count('banksman_rollout_retries_total', [`made/up-${index}`]);
    }
    const lines = (await metrics.text())
      .split('\n')
      .filter((line) => line.startsWith('banksman_rollout_retries_total'));
    expect(lines).toHaveLength(maximumSeries + 1);
    expect(lines.at(-1)).toBe(`banksman_rollout_retries_total{code="other"} ${2 * maximumSeries}`);
  });

  it('are named by convention', () => {
    for (const [name, { type, labels, help }] of Object.entries(metricForms)) {
      expect(name).toMatch(/^(?:banksman|process)_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
      if (type === 'histogram') expect(name).toMatch(/_seconds$/);
      expect(help).not.toBe('');
      // There are thousands of these.
      for (const label of labels) expect(['service', 'release', 'rollout', 'person', 'webhook']).not.toContain(label);
    }
  });

  it('stand in the operator’s guide, and its alerts name no others', async () => {
    const text = await readFile(guide, 'utf8');
    expect(text, 'run script/metrics-reference').toContain(metricsTable());
    const blocks = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, block]) => parse(block ?? '') as unknown);
    const groups = blocks.flatMap(
      (block) => (block as { groups?: { rules: { alert: string; expr: string }[] }[] }).groups ?? [],
    );
    const rules = groups.flatMap((group) => group.rules);
    expect(rules.length).toBeGreaterThan(8);
    for (const { alert, expr } of rules) {
      const names = expr.match(/\b(?:banksman|process)_[a-z_]+/g) ?? [];
      expect(names, alert).not.toEqual([]);
      for (const name of names) expect(metricForms).toHaveProperty(name.replace(/_(?:bucket|sum|count)$/, ''));
    }
  });
});

it('tell of each step of a rollout, of its gates and of its end', async () => {
  const metrics = createMetrics();
  const answers = [
    { gate: 'soak', holds: true, reason: '', since: 61_000 },
    { gate: 'window', holds: true, reason: '' },
  ];
  const steps = [
    { state: 'planned', at: 1_000 },
    { state: 'gated', at: 2_000 },
    { state: 'applying', at: 71_000 },
    { state: 'failed', at: 81_000 },
  ] as const;
  const release = { id: 'r', order: 1 };
  const rollout: model.Rollout = {
    id: 'x',
    release,
    kind: 'promotion',
    by: 'ada',
    gates: [],
    terms,
    state: 'failed',
    due: 0,
    answers,
    steps,
  };
  const about = { service: '//a:a' as Label, environment: 'prod', rollout };
  for (const [place, to] of steps.entries()) {
    const passage: Passage = { ...about, from: steps[place - 1], to, place };
    countPassage(metrics, passage);
  }
  const text = await metrics.text();
  for (const line of [
    'banksman_rollout_step_duration_seconds_sum{environment="prod",step="planned"} 1',
    'banksman_rollout_step_duration_seconds_sum{environment="prod",step="gated"} 69',
    'banksman_rollout_step_duration_seconds_sum{environment="prod",step="applying"} 10',
    'banksman_gate_wait_seconds_sum{environment="prod",gate="soak"} 60',
    'banksman_gate_wait_seconds_count{environment="prod",gate="window"} 1',
    'banksman_rollouts_ended_total{environment="prod",kind="promotion",state="failed"} 1',
    'banksman_rollout_duration_seconds_sum{environment="prod",state="failed"} 80',
  ])
    expect(text).toContain(`${line}\n`);
});

describe.each(testDatabases)('metrics out of $engine', ({ start }) => {
  let running: RunningDatabase;
  beforeAll(async () => {
    running = await start();
  }, 60_000);
  afterAll(() => running?.stop());

  it('tell what waits, for whom and since when, in as many lines for many services as for one', async () => {
    const { database } = running;
    const store = await openPlacementStore(database);
    await migrateDrift(database);
    await openWebhooks(database, undefined);
    const actor = { who: 'ada', source: 'test' };
    const ask = async (index: number) => {
      const service = `//bank/s${index}:s` as Label;
      const id = `sha256:${String(index).padStart(64, '0')}`;
      await store.addRelease({ id, service, reference: 'r', commit: 'c', authors: [], madeAt: 0 }, actor);
      const request: model.ReleaseRequest = {
        id: `r${index}`,
        release: { id, order: 1 },
        kind: 'promotion',
        by: 'ada',
        gates: ['approvals'],
        terms,
      };
      await store.happen(service, 'prod', { kind: 'plan', at: 1_000, request }, actor);
      const answers = [{ gate: 'approvals', holds: false, reason: 'none yet' }];
      await store.happen(service, 'prod', { kind: 'gates', at: 2_000, rollout: `r${index}`, answers }, actor);
    };
    const read = async () => {
      const metrics = createMetrics();
      collectDatabase(metrics, database, () => 62_000);
      return await metrics.text();
    };
    await ask(0);
    const one = await read();
    for (let index = 1; index < 40; index++) await ask(index);
    const many = await read();
    for (const line of [
      'banksman_open_rollouts 40',
      'banksman_rollouts{environment="prod",state="gated"} 40',
      'banksman_gate_waiting_rollouts{environment="prod",gate="approvals"} 40',
      'banksman_oldest_waiting_rollout_seconds{environment="prod"} 60',
      'banksman_webhook_lag_seconds 0',
      'banksman_database_up 1',
    ])
      expect(many).toContain(`${line}\n`);
    expect(many.split('\n')).toHaveLength(one.split('\n').length);
  });

  it('say so where the database is away, and tell nothing old of it', async () => {
    const metrics = createMetrics();
    const query = () => Promise.reject(new Error('away'));
    collectDatabase(metrics, { ...running.database, query }, Date.now);
    const text = await metrics.text();
    expect(text).toContain('banksman_database_up 0\n');
    expect(text).not.toMatch(/^banksman_rollouts\{/m);
  });
});
