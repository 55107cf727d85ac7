import type { Database } from '../../database/index.ts';
import { openWatches } from '../../kube/index.ts';
import type { DriftedObject, Passage, PlacementSummary } from '../../release/index.ts';
import { sentSpans } from '../../trace/index.ts';
import type { Metrics } from './registry.ts';

/** Milliseconds that what the database says is told again: several may ask, and each answer is read from thousands of rows. */
const keptFor = 10_000;

/** States of a rollout that has not ended. */
const open = ['planned', 'gated', 'applying', 'progressing', 'verifying'];

/** What is known of the process itself. */
export function collectProcess(metrics: Metrics, version: string, watches = openWatches): void {
  metrics.set('banksman_build_info', 1, [version]);
  metrics.set('banksman_leader', 0);
  metrics.count('banksman_leaderships_total', [], 0);
  metrics.set('process_start_time_seconds', Math.round(performance.timeOrigin / 1000));
  metrics.onRead(() => {
    const { user, system } = process.cpuUsage();
    metrics.set('process_cpu_seconds_total', (user + system) / 1e6);
    metrics.set('process_resident_memory_bytes', process.memoryUsage.rss());
    const { sent, lost } = sentSpans();
    metrics.set('banksman_trace_spans_total', sent, ['sent']);
    metrics.set('banksman_trace_spans_total', lost, ['lost']);
    const { count, silence } = watches();
    metrics.set('banksman_watches', count);
    metrics.set('banksman_watch_silence_seconds', silence / 1000);
  });
}

/** What the database knows is asked when somebody reads it. Every server tells the same: take the maximum over them. */
export function collectDatabase(metrics: Metrics, database: Database, now: () => number): void {
  let read: Promise<void> | undefined;
  let readAt = Number.NEGATIVE_INFINITY;
  metrics.onRead(async () => {
    const { used, idle, waiting } = database.pool?.() ?? { used: 0, idle: 1, waiting: 0 };
    metrics.set('banksman_database_connections', used, ['used']);
    metrics.set('banksman_database_connections', idle, ['idle']);
    metrics.set('banksman_database_waiting', waiting);
    if (performance.now() - readAt >= keptFor) {
      read ??= readDatabase(metrics, database, now)
        .then(
          () => {
            readAt = performance.now();
            metrics.set('banksman_database_up', 1);
          },
          () => {
            for (const name of fromDatabase) metrics.clear(name);
            metrics.set('banksman_database_up', 0);
          },
        )
        .finally(() => {
          read = undefined;
        });
      await read;
    }
  });
}

const fromDatabase = [
  'banksman_open_rollouts',
  'banksman_rollouts',
  'banksman_services',
  'banksman_gate_waiting_rollouts',
  'banksman_oldest_waiting_rollout_seconds',
  'banksman_drifted_objects',
  'banksman_webhook_queue_messages',
  'banksman_webhook_lag_seconds',
] as const;

async function readDatabase(metrics: Metrics, database: Database, now: () => number): Promise<void> {
  const [rollouts, services, waiting, drifts, webhooks] = await Promise.all([
    database.query<{ environment: string; state: string; count: number }>(
      `SELECT environment, state, count(*) AS count FROM rollouts WHERE state IN (${open.map((state) => `'${state}'`).join(', ')})
       GROUP BY environment, state`,
    ),
    database.query<{ environment: string; state: string; count: number }>(
      'SELECT environment, state, count(*) AS count FROM placements GROUP BY environment, state',
    ),
    database.query<{ environment: string; summary: string }>('SELECT environment, summary FROM placements WHERE waits'),
    database.query<{ environment: string; body: string }>('SELECT environment, body FROM drifts'),
    database.query<{ pending: number; dead: number; oldest: Date | null }>(
      `SELECT count(*) FILTER (WHERE NOT dead) AS pending, count(*) FILTER (WHERE dead) AS dead,
         (SELECT min(audit_entries.at) FROM webhook_outbox JOIN audit_entries USING (number) WHERE NOT dead) AS oldest
       FROM webhook_outbox`,
    ),
  ]);
  for (const name of fromDatabase) metrics.clear(name);
  metrics.set(
    'banksman_open_rollouts',
    rollouts.reduce((sum, { count }) => sum + count, 0),
  );
  for (const { environment, state, count } of rollouts) metrics.set('banksman_rollouts', count, [environment, state]);
  for (const { environment, state, count } of services) metrics.set('banksman_services', count, [environment, state]);
  tellWaits(metrics, waiting, now());
  const drifted = new Map<string, number>();
  for (const { environment, body } of drifts) {
    const { objects } = JSON.parse(body) as { readonly objects: readonly DriftedObject[] };
    drifted.set(environment, (drifted.get(environment) ?? 0) + objects.length);
  }
  for (const [environment, count] of drifted) metrics.set('banksman_drifted_objects', count, [environment]);
  const [{ pending, dead, oldest } = { pending: 0, dead: 0, oldest: null }] = webhooks;
  metrics.set('banksman_webhook_queue_messages', pending, ['pending']);
  metrics.set('banksman_webhook_queue_messages', dead, ['dead']);
  metrics.set('banksman_webhook_lag_seconds', oldest === null ? 0 : Math.max(0, now() - oldest.getTime()) / 1000);
}

function tellWaits(
  metrics: Metrics,
  rows: readonly { readonly environment: string; readonly summary: string }[],
  now: number,
): void {
  const shut = new Map<string, { readonly labels: readonly string[]; count: number }>();
  const oldest = new Map<string, number>();
  for (const { environment, summary } of rows) {
    for (const { state, since, shut: gates } of (JSON.parse(summary) as PlacementSummary).open) {
      if (state !== 'gated' && state !== 'planned') continue;
      oldest.set(environment, Math.min(since, oldest.get(environment) ?? since));
      for (const gate of gates) {
        const key = `${environment} ${gate}`;
        const known = shut.get(key) ?? { labels: [environment, gate], count: 0 };
        known.count++;
        shut.set(key, known);
      }
    }
  }
  for (const { labels, count } of shut.values()) metrics.set('banksman_gate_waiting_rollouts', count, labels);
  for (const [environment, since] of oldest)
    metrics.set('banksman_oldest_waiting_rollout_seconds', Math.max(0, now - since) / 1000, [environment]);
}

/** A rollout has come further. */
export function countPassage(metrics: Metrics, { environment, rollout, from, to }: Passage): void {
  if (from === undefined) return;
  const asked = rollout.steps[0]?.at ?? from.at;
  if (open.includes(from.state)) {
    metrics.observe('banksman_rollout_step_duration_seconds', (to.at - from.at) / 1000, [environment, from.state]);
  }
  const starts = to.state === 'applying' && (from.state === 'planned' || from.state === 'gated');
  for (const { gate, since } of starts ? rollout.answers : []) {
    const wait = Math.max(0, Math.min(since ?? asked, to.at) - asked) / 1000;
    metrics.observe('banksman_gate_wait_seconds', wait, [environment, gate]);
  }
  if (open.includes(to.state) || !open.includes(from.state)) return;
  metrics.count('banksman_rollouts_ended_total', [environment, rollout.kind, to.state]);
  metrics.observe('banksman_rollout_duration_seconds', (to.at - asked) / 1000, [environment, to.state]);
}
